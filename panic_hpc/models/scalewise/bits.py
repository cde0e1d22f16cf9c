"""Bitwise residual quantisation over scales: features to signs, coarse to fine, and back.

Method: binary spherical quantisation (Zhao et al., 2024, arXiv:2406.07548) of the residual at
every scale (Tian et al., 2024, arXiv:2404.02905), as in Infinity (Han et al., 2024,
arXiv:2412.04431), whose bit-wise self-correction is the argument `flips`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Coded(NamedTuple):
    """A picture's bits by scale, what each scale is predicted from, and their sum of features.

    `bits[k]` is bool (B, T_k, bits), `before[k]` is float (B, T_k, bits): the features of all
    coarser scales at the size of scale k, zeros for the first. `features` is (B, T_last, bits).
    """

    bits: list[Tensor]
    before: list[Tensor]
    features: Tensor


def resizing(source: int, target: int, mode: str) -> Tensor:
    """Return the matrix (target², source²) that resizes maps; `area` or `bilinear`."""
    maps = torch.eye(source**2).reshape(1, source**2, source, source)
    size = (target, target)
    options = {} if mode == "area" else {"align_corners": False}
    resized = nn.functional.interpolate(maps, size, mode=mode, **options)
    return resized.reshape(source**2, target**2).T.contiguous()


class ScaleBits(nn.Module):
    """The quantiser of a sequence of scales; its weights are how much a sign is worth.

    A gain for each scale and bit, where Infinity has one for all: the scale whose gain outweighs
    the others' together is the one that decides a bit.
    """

    def __init__(self, scales: Sequence[int], bits: int) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.gains = nn.Parameter(torch.full((len(scales), bits), bits**-0.5))
        for k, side in enumerate(scales):
            down, up = resizing(scales[-1], side, "area"), resizing(side, scales[-1], "bilinear")
            self.register_buffer(f"down{k}", down, persistent=False)
            self.register_buffer(f"up{k}", up, persistent=False)

    def at(self, scale: int, features: Tensor) -> Tensor:
        """Return features (B, T_last, bits) at the size of a scale, (B, T_scale, bits)."""
        return self.get_buffer(f"down{scale}") @ features

    def added(self, scale: int, features: Tensor, bits: Tensor) -> Tensor:
        """Return features (B, T_last, bits) with the bits (B, T_scale, bits) of a scale added."""
        signs = (bits.to(features.dtype) * 2 - 1) * self.gains[scale]
        return features + self.get_buffer(f"up{scale}") @ signs

    def code(self, features: Tensor, flips: Sequence[Tensor] | None = None) -> Coded:
        """Quantise features (B, T_last, bits).

        1. The residual at the size of a scale gives that scale's bits, by sign.
        2. `flips` says which of them are passed on wrong; `bits` has the right ones, so that a
           model learns to put right at finer scales what it got wrong at coarser ones.
        3. What was passed on is taken off the residual.
        """
        total, bits, before = torch.zeros_like(features), [], []
        for k in range(len(self.scales)):
            before.append(self.at(k, total))
            right = self.at(k, features - total) > 0
            bits.append(right)
            total = self.added(k, total, right if flips is None else right ^ flips[k])
        return Coded(bits, before, total)
