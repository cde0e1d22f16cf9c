"""The transformer: all tokens of a scale at once, seeing the coarser scales and the text.

Its parts are Infinity's (Han et al., 2024, arXiv:2412.04431): attention by cosine with a learned
temperature, a layer's shifts and scales from one summary of the text, cross attention to its
tokens, and a logit a bit. Positions are learned, where Infinity turns queries and keys.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from panic_hpc.models.scalewise.config import ScalewiseConfig

HOTTEST = math.log(100)


class Text(NamedTuple):
    """Texts as the transformer reads them: tokens (B, L, text_width), which count, a summary.

    `mask` is bool (B, L), True where a token counts; `summary` is (B, text_width).
    """

    tokens: Tensor
    mask: Tensor
    summary: Tensor


def inverse_length(x: Tensor) -> Tensor:
    """Return 1 / |x| over the last axis, which stays with length 1."""
    return (x.square().sum(-1, keepdim=True) + 1e-12).rsqrt()


class Cosine(nn.Module):
    """Attention by the cosine of queries and keys, heads times a learned temperature."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(4)))

    def split(self, x: Tensor) -> Tensor:
        """Return (B, T, D) as (B, heads, T, D / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, T, D); `mask` is True where a query may look, broadcast to (B, 1, T, S)."""
        scale = self.log_scale.clamp(max=HOTTEST).exp()
        lengths = scale * inverse_length(q) * inverse_length(k).transpose(-1, -2)
        scores = (q @ k.transpose(-1, -2)) * lengths
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Past:
    """Keys and values of the coarser scales, a pair a layer."""

    def __init__(self, n_layers: int) -> None:
        self.pairs: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    def extended(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of all scales so far, with a layer's new ones."""
        before = self.pairs[layer]
        if before is not None:
            k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
        self.pairs[layer] = (k, v)
        return k, v


class SelfAttention(nn.Module):
    """Attention among the picture's tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attend = Cosine(heads)

    def forward(self, x: Tensor, mask: Tensor | None, past: Past | None, layer: int) -> Tensor:
        """Return (B, T, D)."""
        q, k, v = map(self.attend.split, self.qkv(x).chunk(3, -1))
        if past is not None:
            k, v = past.extended(layer, k, v)
        return self.out(self.attend(q, k, v, mask))


class CrossAttention(nn.Module):
    """Attention of the picture's tokens to those of the text."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.q, self.kv, self.out = (nn.Linear(width, n * width) for n in (1, 2, 1))
        self.attend = Cosine(heads)

    def remembered(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of the text (B, L, D), which are the same at every scale."""
        k, v = self.kv(tokens).chunk(2, -1)
        return self.attend.split(k), self.attend.split(v)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Return (B, T, D)."""
        return self.out(self.attend(self.attend.split(self.q(x)), *memory, mask))


class FeedForward(nn.Sequential):
    """Two layers, four times as wide between."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )


class ScaleLayer(nn.Module):
    """One layer: self attention, cross attention, feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.sa, self.ca = SelfAttention(width, heads), CrossAttention(width, heads)
        self.ffn = FeedForward(width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.ca_norm = nn.LayerNorm(width)
        # Gains 1 and the rest 0, to which the text's summary adds.
        self.ada = nn.Parameter(torch.zeros(6, width))
        with torch.no_grad():
            self.ada[:2] = 1

    def forward(
        self,
        x: Tensor,
        summary: Tensor,
        memory: tuple[Tensor, Tensor],
        text_mask: Tensor,
        mask: Tensor | None,
        past: Past | None,
        layer: int,
    ) -> Tensor:
        """Return (B, T, D); `summary` is (B, 6, D)."""
        gain1, gain2, scale1, scale2, shift1, shift2 = (summary + self.ada)[:, :, None].unbind(1)
        x = x + gain1 * self.sa(self.norm(x) * (1 + scale1) + shift1, mask, past, layer)
        x = x + self.ca(self.ca_norm(x), memory, text_mask)
        return x + gain2 * self.ffn(self.norm(x) * (1 + scale2) + shift2)


class ScalewiseTransformer(nn.Module):
    """Predicts the bits of each scale from those of the coarser ones, and from a text."""

    def __init__(self, config: ScalewiseConfig) -> None:
        super().__init__()
        width = config.width
        self.scales = config.scales
        self.text_in, self.summary_in = (nn.Linear(config.text_width, width) for _ in range(2))
        self.word_in = nn.Linear(config.bits, width)
        self.positions = nn.Parameter(0.02 * torch.randn(config.n_tokens, width))
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.layers = nn.ModuleList(ScaleLayer(width, config.heads) for _ in range(config.layers))
        self.head_ada = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.head_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.head = nn.Linear(width, config.bits)
        for layer in (self.ada_lin[1], self.head_ada[1]):
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=0.02)

    def first_of(self, scale: int) -> int:
        """Return the place of a scale's first token among all tokens."""
        return sum(side**2 for side in self.scales[:scale])

    def remembered(self, text: Text) -> list[tuple[Tensor, Tensor]]:
        """Return what each layer's cross attention keeps of the texts."""
        tokens = self.text_in(text.tokens)
        return [one.ca.remembered(tokens) for one in self.layers]

    def causal(self) -> Tensor:
        """Return which tokens (T, T) a token may look at: those of its scale and coarser ones."""
        scale = torch.cat([torch.full((n**2,), k) for k, n in enumerate(self.scales)])
        return (scale[:, None] >= scale[None]).to(self.positions.device)

    def embedded(self, summary: Tensor, before: Tensor, scale: int) -> Tensor:
        """Return the tokens (B, T_scale, D) by which a scale is asked for."""
        first = self.first_of(scale)
        tokens = self.word_in(before) + self.positions[first : first + before.shape[1]]
        # The first scale has nothing before it: the text itself begins the picture.
        return tokens + summary[:, None] if scale == 0 else tokens

    def forward(
        self,
        x: Tensor,
        summary: Tensor,
        memory: list[tuple[Tensor, Tensor]],
        text_mask: Tensor,
        mask: Tensor | None = None,
        past: Past | None = None,
    ) -> Tensor:
        """Return a logit a bit (B, T, bits) of embedded tokens (B, T, D).

        `summary` is (B, D), what `summary_in` makes of the texts'. With a `past` the tokens are
        those of one scale; with a `mask` those of all.
        """
        ada = self.ada_lin(summary).unflatten(-1, (6, -1))
        looks = text_mask[:, None, None]
        for number, (layer, kept) in enumerate(zip(self.layers, memory, strict=True)):
            x = layer(x, ada, kept, looks, mask, past, number)
        scale, shift = self.head_ada(summary)[:, None].chunk(2, -1)
        return self.head(self.head_norm(x) * (1 + scale) + shift)

    def all_scales(self, text: Text, before: list[Tensor]) -> Tensor:
        """Return the logits (B, T, bits) of all scales at once, for training."""
        summary = self.summary_in(text.summary)
        tokens = [self.embedded(summary, maps, k) for k, maps in enumerate(before)]
        memory, mask = self.remembered(text), self.causal()
        logits: Tensor = self(torch.cat(tokens, 1), summary, memory, text.mask, mask)
        return logits
