"""Pictures from texts: scale by scale, bits drawn by each item's own generator."""

from collections.abc import Sequence

import torch
from torch import Tensor

from panic_hpc.models.scalewise.bits import ScaleBits
from panic_hpc.models.scalewise.transformer import Past, ScalewiseTransformer, Text


def draw(
    transformer: ScalewiseTransformer,
    quantiser: ScaleBits,
    text: Text,
    generators: Sequence[torch.Generator],
    guidance: float,
    temperature: float,
) -> Tensor:
    """Return features (B, T_last, bits).

    `text` has the items' prompts, and where it is guided, their negative ones behind them. Every
    scale is one call of the blocks. At temperature 0 each bit is the likelier one.
    """
    n_items, guided = len(generators), len(text.mask) > len(generators)
    summary, memory = transformer.summary_in(text.summary), transformer.remembered(text)
    past = Past(len(transformer.layers))
    side, n_bits = transformer.scales[-1], transformer.head.out_features
    features = torch.zeros(n_items, side**2, n_bits, device=summary.device, dtype=summary.dtype)
    for scale in range(len(transformer.scales)):
        before = quantiser.at(scale, features)
        both = torch.cat([before, before]) if guided else before
        tokens = transformer.embedded(summary, both, scale)
        logits = transformer(tokens, summary, memory, text.mask, past=past).float()
        if guided:
            cond, uncond = logits.split(n_items)
            logits = uncond + guidance * (cond - uncond)
        features = quantiser.added(scale, features, drawn(logits, generators, temperature))
    return features


def drawn(logits: Tensor, generators: Sequence[torch.Generator], temperature: float) -> Tensor:
    """Return bits as bool, of logits (B, T, bits); an item's draws are of its own generator.

    As many numbers are drawn at temperature 0, so that a seed means the same at each.
    """
    shape = logits.shape[1:]
    chance = torch.stack([torch.rand(shape, generator=one) for one in generators])
    if temperature == 0:
        return logits > 0
    return chance.to(logits.device) < torch.sigmoid(logits / temperature)


def joined(prompts: Text, negative: Text) -> Text:
    """Return texts with their negative ones behind them."""
    return Text(*(torch.cat(pair) for pair in zip(prompts, negative, strict=True)))
