"""Pictures for the models that look: as drawn, and as drawn and sent through the autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from panic_hpc.models.scene.drawing import paint
from panic_hpc.models.scene.scenes import Rows, sample

from .autoencoder import encode

SEED = 31
SIZE = 16_000
WORST_NOISE = 0.4
DRAWN_STEPS = 2400


@dataclass(frozen=True)
class Bank:
    """Scenes and their pictures as a text-to-image model might paint them.

    They are painted, and the autoencoder trained, when they are first asked for: the drawn pictures
    of the first steps need neither.
    """

    autoencoder: Callable[[], AutoencoderKL]
    checkpoints: Path

    @cached_property
    def rows(self) -> Rows:
        """The scenes, (N, 10)."""
        return sample(np.random.default_rng(SEED), SIZE)

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """Their pictures (N, 32, 32, 3), from the checkpoints' folder where they lie there."""
        cache = self.checkpoints / "bank.npy"
        if not cache.exists():
            generator = torch.Generator().manual_seed(SEED)
            np.save(cache, repaint(self.autoencoder(), self.rows, generator))
        return np.load(cache)

    def batch(self, rng: np.random.Generator, n: int, step: int) -> tuple[Rows, NDArray[np.uint8]]:
        """Return n scenes and their pictures: at first all drawn, later half from the bank."""
        fresh = sample(rng, n if step < DRAWN_STEPS else n // 2)
        if step < DRAWN_STEPS:
            return fresh, paint(fresh)
        pick = rng.integers(len(self.rows), size=n - n // 2)
        images = np.concatenate([paint(fresh), self.images[pick]])
        return np.concatenate([fresh, self.rows[pick]]), images


def to_uint8(x: torch.Tensor) -> NDArray[np.uint8]:
    """Return pictures (N, 3, 32, 32) in -1 to 1 as uint8 (N, 32, 32, 3)."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


@torch.no_grad()
def repaint(vae: AutoencoderKL, rows: Rows, generator: torch.Generator) -> NDArray[np.uint8]:
    """Return the pictures of scenes after the autoencoder, its latents more or less disturbed."""
    latents = encode(vae, rows)
    level = (
        WORST_NOISE
        * torch.rand(len(rows), 1, 1, 1, generator=generator)
        / vae.config.scaling_factor
    )
    latents = latents + level * torch.randn(latents.shape, generator=generator)
    return np.concatenate([to_uint8(vae.decode(part).sample) for part in latents.split(64)])
