"""Predicted seconds and bytes of one set of diagrams; standard library only, for the planner."""

from dataclasses import dataclass

SAFETY = 2.0
"""The fits below hold within 30 % on trajectories; a predicted walltime should not be exceeded."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on one core of 2024 and peak bytes of the process, imports included in the bytes."""

    seconds: float
    bytes: int


def cost(n: int, d: int, maxdim: int) -> Cost:
    """Predict the lazy engine on a trajectory of `n` distinct points of `d` numbers up to `maxdim`.

    Clouds of noise take far longer; their computation is bounded by a budget instead (see `budget`).
    """
    distances = n * n * (4.3e-9 + 1.75e-11 * d)
    core = (1.5e-9 * n**2, 8.5e-9 * n**2.17, 1.08e-8 * n**2.36)[min(maxdim, 2)]
    return Cost(SAFETY * (0.001 + distances + core), 60_000_000 + 16 * n * n + 12 * n * d)
