"""The autoencoder of the text-to-image models: 32 x 32 pictures to 8 x 8 x 8 latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from panic_hpc.models.scene.drawing import paint
from panic_hpc.models.scene.scenes import Rows, sample

from .training import Schedule, fit

SEED = 11
BATCH = 16
LATENT_CHANNELS = 8
KL_WEIGHT = 1e-6
SCHEDULE = Schedule(steps=5600, rate=2e-3, average=0.998, save_seconds=60, weight_decay=0.0)


def build() -> AutoencoderKL:
    """Return the untrained autoencoder; without attention, so that what it knows is local."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 48, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=32,
        mid_block_add_attention=False,
    )


def to_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """Return pictures (N, 32, 32, 3) as float32 (N, 3, 32, 32) in -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def loss_of(model: AutoencoderKL, step: int) -> torch.Tensor:
    """Return the reconstruction error of one batch plus a little of the latents' divergence."""
    x = to_tensor(paint(sample(np.random.default_rng([SEED, step]), BATCH)))
    posterior = model.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist
    mean, logvar = posterior.mean, posterior.logvar
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(SEED * 2**32 + step))
    y = model.decode(mean + noise * (0.5 * logvar).exp()).sample
    divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return (y - x).abs().mean() + ((y - x) ** 2).mean() + KL_WEIGHT * divergence


def train(checkpoints: Path) -> AutoencoderKL:
    """Train or finish training, set the latents' scale, and return the autoencoder."""
    torch.manual_seed(SEED)
    model = build().to(memory_format=torch.channels_last)
    fit(model, lambda step: loss_of(model, step), SCHEDULE, checkpoints / "autoencoder.pt")
    standardise(model)
    return model


@torch.no_grad()
def standardise(model: AutoencoderKL) -> None:
    """Fold the latents' mean and spread into the 1 x 1 convolutions, so that no scale is needed.

    A pipeline knows one scaling factor only, and the channels' spreads differ sixfold.
    """
    latents = encode(model, sample(np.random.default_rng(SEED), 2048))
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    inward, outward = model.quant_conv, model.post_quant_conv
    outward.bias += (outward.weight[:, :, 0, 0] * mean).sum(1)
    outward.weight *= spread[None, :, None, None]
    inward.weight[:LATENT_CHANNELS] /= spread[:, None, None, None]
    inward.bias[:LATENT_CHANNELS] = (inward.bias[:LATENT_CHANNELS] - mean) / spread
    inward.bias[LATENT_CHANNELS:] -= 2 * spread.log()
    model.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def encode(model: AutoencoderKL, rows: Rows, batch: int = 64) -> torch.Tensor:
    """Return the latents' means (N, 8, 8, 8), unscaled."""
    parts = [rows[i : i + batch] for i in range(0, len(rows), batch)]
    return torch.cat([model.encode(to_tensor(paint(part))).latent_dist.mean for part in parts])
