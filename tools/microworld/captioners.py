"""The image-to-text models: a terse one (GIT) and a verbose one (BLIP)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    CLIPImageProcessorPil,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
)

from panic_hpc.models.scene.captions import terse, verbose
from panic_hpc.models.scene.drawing import paint
from panic_hpc.models.scene.scenes import sample

from .autoencoder import to_tensor
from .training import Schedule, fit
from .words import LENGTH, bert_tokenizer

BATCH = 64
# More steps, or pictures that went through the autoencoder, and the held-out combinations are told
# worse: 3,600 steps without the decay and BLIP's dropout gave 97.4 % of MicroVerbose's attributes.
SCHEDULE = Schedule(
    steps=2400, rate=1e-3, warmup=200, average=0.998, save_seconds=90.0, weight_decay=0.05
)
PICTURE = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32}}
EYES = {
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 4,
}
VOICE = {
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@dataclass(frozen=True)
class Recipe:
    """One captioner: what it says, its network and its seed."""

    name: str
    caption: Callable[[NDArray[np.int64]], str]
    build: Callable[[BertTokenizer], nn.Module]
    processor: Callable[[BertTokenizer], Any]
    seed: int


def specials(tokenizer: BertTokenizer) -> dict[str, int]:
    """Return the vocabulary's size and special ids in the words of a transformers config."""
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def build_git(tokenizer: BertTokenizer) -> GitForCausalLM:
    """Return the untrained terse captioner: picture patches as a prefix of one transformer."""
    eyes = {**EYES, "num_hidden_layers": 2}
    words = {**VOICE, **specials(tokenizer), "num_hidden_layers": 3, "hidden_dropout_prob": 0.2}
    config = GitConfig(vision_config=eyes, **words)
    return GitForCausalLM(config)


def build_blip(tokenizer: BertTokenizer) -> BlipForConditionalGeneration:
    """Return the untrained verbose captioner: an encoder, and a decoder that looks at it."""
    words = {
        **VOICE,
        **specials(tokenizer),
        "num_hidden_layers": 2,
        "encoder_hidden_size": 96,
        "hidden_dropout_prob": 0.1,
    }
    config = BlipConfig(
        vision_config={**EYES, "num_hidden_layers": 3},
        text_config={**words, "sep_token_id": tokenizer.sep_token_id, "projection_dim": 96},
        projection_dim=96,
        image_text_hidden_size=96,
        label_smoothing=0.0,
    )
    model = BlipForConditionalGeneration(config)
    with (
        torch.no_grad()
    ):  # the class starts its positions at unit variance, which drowns the patches
        model.vision_model.embeddings.position_embedding.mul_(0.02)
        model.vision_model.embeddings.class_embedding.mul_(0.02)
    return model


TERSE = Recipe(
    "MicroTerse",
    terse,
    build_git,
    lambda t: GitProcessor(CLIPImageProcessorPil(**PICTURE, do_center_crop=False), t),
    41,
)
VERBOSE = Recipe(
    "MicroVerbose",
    verbose,
    build_blip,
    lambda t: BlipProcessor(BlipImageProcessorPil(**PICTURE), t),
    42,
)


def loss_of(recipe: Recipe, model: nn.Module, tokenizer: BertTokenizer, step: int) -> torch.Tensor:
    """Return the cross-entropy of one batch's captions."""
    rng = np.random.default_rng([recipe.seed, step])
    # Of dropout, which a resumed training must draw as one that was not interrupted.
    torch.manual_seed(int(rng.integers(2**62)))
    rows = sample(rng, BATCH)
    text = tokenizer(
        [recipe.caption(row) for row in rows],
        padding="longest",
        return_tensors="pt",
        return_token_type_ids=False,
    )
    labels = text.input_ids.masked_fill(text.attention_mask == 0, -100)
    return model(pixel_values=to_tensor(paint(rows)), labels=labels, **text).loss


def train(recipe: Recipe, checkpoints: Path, out: Path) -> None:
    """Train or finish training one captioner; its folder is written at every checkpoint."""
    torch.manual_seed(recipe.seed)
    tokenizer = bert_tokenizer()
    model, shadow = recipe.build(tokenizer), recipe.build(tokenizer)

    def save(state: dict[str, torch.Tensor]) -> None:
        shadow.load_state_dict(state)
        shadow.generation_config.max_length = None
        shadow.generation_config.max_new_tokens = LENGTH
        shadow.save_pretrained(out / recipe.name)
        recipe.processor(tokenizer).save_pretrained(out / recipe.name)

    fit(
        model,
        lambda step: loss_of(recipe, model, tokenizer, step),
        SCHEDULE,
        checkpoints / f"{recipe.name}.pt",
        save,
    )
