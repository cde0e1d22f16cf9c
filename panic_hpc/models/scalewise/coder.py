"""Features on the finest scale's grid to pictures of flat colours.

A patch has, in this order, a number a pixel (above 0 where it is of a thing, not of the
background), then the bits of the background's place in the palette, then those of the thing's
colour, highest first. The background is the whole picture's: the patches' numbers are added.
"""

import torch
from torch import Tensor, nn

from panic_hpc.models.scalewise.config import ScalewiseConfig


class PaletteCoder(nn.Module):
    """Draws pictures; it has no weights but its palette."""

    def __init__(self, config: ScalewiseConfig) -> None:
        super().__init__()
        self.patch, self.grid = config.patch, config.scales[-1]
        self.sizes = config.bit_groups
        for name in ("backgrounds", "colours"):
            levels = torch.tensor(getattr(config, name), dtype=torch.uint8)
            self.register_buffer(name, levels, persistent=False)

    def decode(self, features: Tensor) -> Tensor:
        """Return pictures (B, H, W, 3) uint8 of features (B, T, bits)."""
        things, background, colour = features.float().split(self.sizes, -1)
        behind = self.backgrounds[number_of(background.sum(1), len(self.backgrounds))]
        before = self.colours[number_of(colour, len(self.colours))]
        inside = self._whole((things > 0).unsqueeze(-1))
        flat = self._whole(before[:, :, None].expand(-1, -1, self.patch**2, -1))
        return torch.where(inside, flat, behind[:, None, None])

    def _whole(self, patches: Tensor) -> Tensor:
        """Return patches (B, T, patch², C) put together, (B, H, W, C)."""
        n, g, p = len(patches), self.grid, self.patch
        laid = patches.reshape(n, g, g, p, p, -1).transpose(2, 3)
        return laid.reshape(n, g * p, g * p, -1)


def number_of(bits: Tensor, n: int) -> Tensor:
    """Return the numbers below n that bits (..., K) tell, highest first; above 0 is 1.

    What is beyond the last number is the last.
    """
    weights = 2 ** torch.arange(bits.shape[-1] - 1, -1, -1, device=bits.device)
    return ((bits > 0) * weights).sum(-1).clamp(max=n - 1)


def signs_of(numbers: Tensor, n_bits: int) -> Tensor:
    """Return numbers as bits (..., n_bits) of 1 and -1: the other way of `number_of`."""
    places = range(n_bits - 1, -1, -1)
    return torch.stack([((numbers >> place) & 1) * 2.0 - 1 for place in places], -1)
