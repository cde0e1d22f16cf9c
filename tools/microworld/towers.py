"""The embedding models: a text tower and an image tower that share one space.

They are trained so that the cosine of two embeddings is the cosine of what they say, taken as
sets of attributes: |A and B| / sqrt(|A| |B|).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from panic_hpc.models.scene.captions import attributes, terse, terse_attributes, verbose
from panic_hpc.models.scene.scenes import Rows

from .autoencoder import to_tensor
from .pictures import Bank
from .training import Schedule, fit
from .words import LENGTH, bert_tokenizer

SEED = 51
BATCH = 64
WIDTH, DIMENSION = 96, 64
TERSE_SHARE = 0.4
SCHEDULE = Schedule(steps=3600, rate=1e-3, warmup=200, average=0.998, save_seconds=90.0)
BODY = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
}


def similarity(said: list[frozenset[str]]) -> torch.Tensor:
    """Return the cosine (N, N) between sets of attributes."""
    names = {name: i for i, name in enumerate(sorted(frozenset().union(*said)))}
    one = np.zeros((len(said), len(names)), dtype=np.float32)
    for n, facts in enumerate(said):
        one[n, [names[fact] for fact in facts]] = 1 / np.sqrt(len(facts))
    return torch.from_numpy(one @ one.T)


class Towers(nn.Module):
    """Both towers, their pooling and their projections into the shared space."""

    def __init__(self, tokenizer: BertTokenizer) -> None:
        super().__init__()
        size = {
            "vocab_size": len(tokenizer),
            "max_position_embeddings": LENGTH,
            "pad_token_id": tokenizer.pad_token_id,
        }
        self.text = BertModel(BertConfig(**BODY, **size))
        self.image = ViTModel(ViTConfig(**BODY, image_size=32, patch_size=4))
        self.from_text = nn.Linear(WIDTH, DIMENSION, bias=False)
        self.from_image = nn.Linear(WIDTH, DIMENSION, bias=False)

    def embed_texts(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (N, 64): the mean over the tokens that the mask keeps, projected."""
        tokens = self.text(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).float()
        mean = (tokens * weight).sum(1) / weight.sum(1)
        return nn.functional.normalize(self.from_text(mean), dim=-1)

    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (N, 64): the mean over all patches, projected."""
        mean = self.image(pixel_values=pixels).last_hidden_state.mean(1)
        return nn.functional.normalize(self.from_image(mean), dim=-1)


def say(rows: Rows, rng: np.random.Generator) -> tuple[list[str], list[frozenset[str]]]:
    """Return a caption of each scene, terse or verbose, and the attributes that it mentions."""
    brief = rng.random(len(rows)) < TERSE_SHARE
    texts = [terse(row) if b else verbose(row) for row, b in zip(rows, brief, strict=True)]
    said = [
        terse_attributes(row) if b else attributes(row) for row, b in zip(rows, brief, strict=True)
    ]
    return texts, said


def loss_of(model: Towers, tokenizer: BertTokenizer, pictures: Bank, step: int) -> torch.Tensor:
    """Return the squared error of all cosines within one batch of texts and pictures."""
    rng = np.random.default_rng([SEED, step])
    rows, images = pictures.batch(rng, BATCH, step)
    texts, said = say(rows, rng)
    ids = tokenizer(texts, padding="max_length", max_length=LENGTH, return_tensors="pt")
    vectors = torch.cat(
        [
            model.embed_texts(ids.input_ids, ids.attention_mask),
            model.embed_images(to_tensor(images)),
        ]
    )
    wanted = similarity(said + [attributes(row) for row in rows])
    return 10 * nn.functional.mse_loss(vectors @ vectors.T, wanted)


def publish(
    body: nn.Module, helper: BertTokenizer | ViTImageProcessorPil, head: nn.Linear, folder: Path
) -> None:
    """Write a tower as a sentence-transformers folder: network, mean, projection, unit length."""
    folder.mkdir(parents=True, exist_ok=True)
    body.save_pretrained(folder)
    helper.save_pretrained(folder)
    options = {"text": {"padding": "max_length", "max_length": LENGTH, "truncation": True}}
    transformer = Transformer(
        str(folder), processing_kwargs=options if isinstance(helper, BertTokenizer) else None
    )
    dense = Dense(WIDTH, DIMENSION, bias=False, activation_function=nn.Identity())
    dense.linear.weight.data.copy_(head.weight)
    tower = SentenceTransformer(
        modules=[transformer, Pooling(WIDTH, "mean"), dense, Normalize()], device="cpu"
    )
    tower.save_pretrained(str(folder), create_model_card=False)


def train(pictures: Bank, checkpoints: Path, out: Path) -> None:
    """Train or finish training both towers; their folders are written at every checkpoint."""
    torch.manual_seed(SEED)
    tokenizer = bert_tokenizer()
    model, shadow = Towers(tokenizer), Towers(tokenizer)
    model.text.set_attn_implementation("eager")
    model.image.set_attn_implementation("eager")
    eye = ViTImageProcessorPil(
        size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )

    def save(state: dict[str, torch.Tensor]) -> None:
        shadow.load_state_dict(state)
        publish(shadow.text, tokenizer, shadow.from_text, out / "MicroText")
        publish(shadow.image, eye, shadow.from_image, out / "MicroImage")

    fit(
        model,
        lambda step: loss_of(model, tokenizer, pictures, step),
        SCHEDULE,
        checkpoints / "towers.pt",
        save,
    )
