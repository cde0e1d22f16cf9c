"""A first lesson for the text encoder: to say which scene a prompt describes.

Binding words to one another is what a text-to-image model learns last. The encoder learns it in
a minute from text alone, and starts the training of the pictures with it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from panic_hpc.models.scene.captions import terse, verbose
from panic_hpc.models.scene.scenes import (
    BACKGROUNDS,
    GROUP_ATTRIBUTES,
    LAYOUTS,
    PLACES,
    Rows,
    sample,
)

from .training import Schedule, fit
from .words import LENGTH

SEED = 15
BATCH = 64
SCHEDULE = Schedule(steps=500, rate=2e-3, warmup=100, average=0.99, save_seconds=60.0)


class Lesson(nn.Module):
    """The text encoder with a head a question: background, layout, a group's attributes."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.config.hidden_size
        sizes = [len(BACKGROUNDS), len(LAYOUTS), *map(len, GROUP_ATTRIBUTES)]
        self.heads = nn.ModuleList([nn.Linear(width, size) for size in sizes])
        self.end = tokenizer.eos_token_id
        self.places = torch.tensor(
            [tokenizer.convert_tokens_to_ids(f"{place}</w>") for place in PLACES]
        )

    def forward(self, ids: torch.Tensor, rows: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of all questions; ``whole`` marks verbose prompts.

        A group is asked for where its place is named, and in a terse prompt at the end.
        """
        hidden = self.encoder(ids).last_hidden_state
        last = hidden[torch.arange(len(ids)), (ids == self.end).int().argmax(1)]
        losses = [
            nn.functional.cross_entropy(self.heads[0](last), rows[:, 0]),
            nn.functional.cross_entropy(self.heads[1](last[whole]), rows[whole, 1]),
            self.group_loss(last[~whole], rows[~whole, 2:6], (2, 4, 5)),
        ]
        item, position = torch.isin(ids, self.places).nonzero(as_tuple=True)
        second = torch.cat([torch.tensor([False]), item[1:] == item[:-1]])
        groups = torch.where(second[:, None], rows[item, 6:10], rows[item, 2:6])
        return sum(losses) + self.group_loss(hidden[item, position], groups, (2, 3, 4, 5))

    def group_loss(
        self, at: torch.Tensor, groups: torch.Tensor, asked: tuple[int, ...]
    ) -> torch.Tensor:
        """Return the cross-entropy of a group's attributes that are asked for."""
        return torch.stack(
            [nn.functional.cross_entropy(self.heads[k](at), groups[:, k - 2]) for k in asked]
        ).sum()


def one_group_first(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return the scenes with their groups swapped in half of those that have two."""
    swapped = rows.copy()
    swap = (rows[:, 6] >= 0) & (rng.random(len(rows)) < 0.5)
    swapped[swap, 2:6], swapped[swap, 6:10] = rows[swap, 6:10], rows[swap, 2:6]
    return swapped


def loss_of(lesson: Lesson, tokenizer: CLIPTokenizer, step: int) -> torch.Tensor:
    """Return the loss of one batch of prompts, a third of them terse."""
    rng = np.random.default_rng([SEED, step])
    rows = sample(rng, BATCH)
    whole = rng.random(BATCH) < 0.67
    rows[~whole] = one_group_first(rows[~whole], rng)
    texts = [verbose(row) if w else terse(row) for row, w in zip(rows, whole, strict=True)]
    ids = tokenizer(texts, padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids
    return lesson(ids, torch.from_numpy(rows), torch.from_numpy(whole))


def teach(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, checkpoints: Path) -> None:
    """Give a text encoder its lesson, from the checkpoint where there is one."""
    encoder.set_attn_implementation("eager")
    lesson = Lesson(encoder, tokenizer)
    fit(lesson, lambda step: loss_of(lesson, tokenizer, step), SCHEDULE, checkpoints / "prompts.pt")
