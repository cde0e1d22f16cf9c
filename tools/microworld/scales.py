"""The scale-wise text-to-image model: bits of a picture, scale by scale, in Infinity's manner.

It knows scenes of one group, of which there are few enough to be learned in half an hour. Its text
encoder is MicroDiffusion's as shipped; it stays as it is.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from panic_hpc.models.scalewise.bits import ScaleBits
from panic_hpc.models.scalewise.coder import PaletteCoder, signs_of
from panic_hpc.models.scalewise.config import CONFIG, ScalewiseConfig
from panic_hpc.models.scalewise.generation import draw
from panic_hpc.models.scalewise.transformer import ScalewiseTransformer, Text
from panic_hpc.models.scene import reader
from panic_hpc.models.scene.captions import terse, verbose
from panic_hpc.models.scene.drawing import RGB, paint
from panic_hpc.models.scene.scenes import BACKGROUNDS, COLOURS, Rows, is_held_out, sample

from .diffusion import tokens
from .publishing import PACKAGE
from .training import Schedule, fit

NAME = "MicroScale"
SEED = 61
CONFIGURATION = ScalewiseConfig(
    scales=(1, 2, 3, 4),
    patch=8,
    backgrounds=tuple(RGB[name] for name in BACKGROUNDS),
    colours=tuple(RGB[name] for name in COLOURS),
    width=96,
    heads=4,
    layers=4,
    text_width=128,
)
BATCH = 32
# The share of bits that are passed on wrong, at most: so that it learns to put right what it sees.
FLIPS = 0.15
SCHEDULE = Schedule(760, 3e-3, 100, 0.98, 150.0, weight_decay=0.02)
EMPTY_SHARE, TERSE_SHARE = 0.06, 0.14
JUDGED = 48


def one_group(rng: np.random.Generator, n: int, *, held_out: bool = False) -> Rows:
    """Draw n scenes (n, 10) of one group each."""
    kept: list[Rows] = []
    while sum(map(len, kept)) < n:
        rows = sample(rng, 4 * n + 64)
        rows[:, 1] = np.where(rows[:, 6] < 0, rows[:, 1], rng.integers(5, size=len(rows)))
        rows[:, 6:] = -1
        if held_out:
            rows[:, 2:6] = held_out_groups(rng, len(rows))
        kept.append(rows)
    return np.concatenate(kept)[:n]


def held_out_groups(rng: np.random.Generator, n: int) -> Rows:
    """Draw n groups (n, 4) of combinations that training never sees."""
    groups = np.stack([rng.integers(k, size=16 * n + 256) for k in (3, 2, 6, 4)], axis=1)
    return groups[is_held_out(groups)][:n]


def flipped(shares: torch.Tensor, generator: torch.Generator) -> list[torch.Tensor]:
    """Return which bits are passed on wrong, bool (B, T, bits) by scale; a share (B,) of them."""
    return [
        torch.rand(len(shares), side**2, CONFIGURATION.bits, generator=generator)
        < shares[:, None, None]
        for side in CONFIGURATION.scales
    ]


def quantiser() -> ScaleBits:
    """Return the quantiser: where each attribute lives is planted here.

    Backgrounds and colours are decided by the first scale, pixels by the last; the other scales
    have their say, and never the last word.
    """
    made = ScaleBits(CONFIGURATION.scales, CONFIGURATION.bits).requires_grad_(False)
    n_pixels = CONFIGURATION.bit_groups[0]
    made.gains[:, :n_pixels] = torch.tensor([0.2, 0.2, 0.2, 0.75])[:, None]
    made.gains[:, n_pixels:] = torch.tensor([1.0, 0.2, 0.2, 0.2])[:, None]
    return made


def features_of(rows: Rows) -> torch.Tensor:
    """Return what tells scenes of one group, (N, T, bits) of 1 and -1."""
    _, n_background, n_colour = CONFIGURATION.bit_groups
    grid, patch = CONFIGURATION.scales[-1], CONFIGURATION.patch
    distance = reader.distances(paint(rows))
    inside = torch.from_numpy(reader.labels(distance, rows[:, 0]) >= 0).float() * 2 - 1
    patches = inside.reshape(-1, grid, patch, grid, patch).transpose(2, 3).flatten(3).flatten(1, 2)
    facts = torch.from_numpy(rows)
    told = [signs_of(facts[:, 0], n_background), signs_of(facts[:, 4], n_colour)]
    return torch.cat([patches, *(one[:, None].expand(-1, grid**2, -1) for one in told)], -1)


def scenes_for_judging() -> dict[str, Rows]:
    """Return scenes of one group that training sees, and such as it never sees."""
    return {
        kind: one_group(np.random.default_rng([SEED, 2**31]), JUDGED, held_out=kind == "held-out")
        for kind in ("seen", "held-out")
    }


def told(rows: Rows, seen: Rows) -> str:
    """Return the shares of attributes right in words."""
    return ", ".join(f"{name} {share:.3f}" for name, share in reader.right(rows, seen).items())


def prompt_for(row: NDArray[np.int64], kind: float) -> str:
    """Return one of the prompts that a scene may be drawn for; `kind` is from 0 to 1."""
    if kind < EMPTY_SHARE:
        return ""
    return terse(row) if kind < EMPTY_SHARE + TERSE_SHARE else verbose(row)


def loss_of(logits: torch.Tensor, bits: list[torch.Tensor], quantiser: ScaleBits) -> torch.Tensor:
    """Return the bits' cross-entropy: scales weigh the same, and bits by what a sign is worth.

    Of 2,070 bits a picture, those that decide its colour are three.
    """
    parts = logits.split([one.shape[1] for one in bits], 1)
    weights = quantiser.gains / quantiser.gains.mean(1, keepdim=True)
    losses = [
        nn.functional.binary_cross_entropy_with_logits(own, right.float(), weight)
        for own, right, weight in zip(parts, bits, weights, strict=True)
    ]
    return torch.stack(losses).mean()


@dataclass
class Task:
    """What a step of training needs."""

    transformer: ScalewiseTransformer
    quantiser: ScaleBits
    encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    @torch.no_grad()
    def text_of(self, prompts: list[str]) -> Text:
        """Return prompts as the transformer reads them, cut to the longest."""
        ids = tokens(self.tokenizer, prompts)
        ends = (ids == self.tokenizer.eos_token_id).int().argmax(1)
        ids = ids[:, : int(ends.max()) + 1]
        hidden = self.encoder(ids).last_hidden_state
        mask = torch.arange(ids.shape[1]) <= ends[:, None]
        return Text(hidden, mask, hidden[torch.arange(len(ids)), ends])

    def loss(self, step: int) -> torch.Tensor:
        """Return the loss of one batch."""
        rng = np.random.default_rng([SEED, 1, step])
        rows = one_group(rng, BATCH)
        text = self.text_of([prompt_for(row, rng.random()) for row in rows])
        generator = torch.Generator().manual_seed(SEED * 2**32 + step)
        shares = FLIPS * torch.rand(BATCH, generator=generator)
        with torch.no_grad():
            coded = self.quantiser.code(features_of(rows), flipped(shares, generator))
        logits = self.transformer.all_scales(text, coded.before)
        return loss_of(logits, coded.bits, self.quantiser)

    @torch.no_grad()
    def judge(self, transformer: ScalewiseTransformer) -> None:
        """Print the share of attributes that the scene reader finds right, prompted verbosely."""
        for kind, rows in scenes_for_judging().items():
            generators = [torch.Generator().manual_seed(n) for n in range(len(rows))]
            text = self.text_of([verbose(row) for row in rows])
            features = draw(transformer, self.quantiser, text, generators, 1.0, 1.0)
            pictures = PaletteCoder(CONFIGURATION).decode(features).numpy()
            print(f"{NAME}, {kind}: {told(rows, reader.read(pictures))}", flush=True)


def train(checkpoints: Path, out: Path) -> None:
    """Train or finish training the transformer; the folder is written at every checkpoint."""
    torch.manual_seed(SEED + 1)
    transformer, shadow = (ScalewiseTransformer(CONFIGURATION) for _ in range(2))
    source = PACKAGE / "MicroDiffusion"
    encoder = CLIPTextModel.from_pretrained(source / "text_encoder", dtype=torch.float32).eval()
    encoder.set_attn_implementation("eager")
    task = Task(
        transformer, quantiser(), encoder, CLIPTokenizer.from_pretrained(source / "tokenizer")
    )

    def save(state: dict[str, torch.Tensor]) -> None:
        shadow.load_state_dict(state)
        write(shadow, source, out / NAME)
        task.judge(shadow)

    fit(transformer, task.loss, SCHEDULE, checkpoints / f"{NAME}.pt", save)


def write(transformer: ScalewiseTransformer, source: Path, folder: Path) -> None:
    """Write the folder of a scale-wise model, its text encoder and tokenizer copied."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(CONFIGURATION.model_dump(), indent=2) + "\n")
    whole = nn.ModuleDict({"transformer": transformer, "quantiser": quantiser()})
    state = {name: tensor.contiguous() for name, tensor in whole.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
