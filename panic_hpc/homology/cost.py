"""Predicted seconds and bytes of one set of diagrams; standard library only, for the planner."""

from dataclasses import dataclass

SAFETY = 2.0
"""The fits below are within 30 % on trajectories; a walltime should hold on a busy node too."""

OPERATIONS_PER_POINT = 20_000
"""Trajectories of 1000 to 10 000 points took 300 to 1500 cofacet searches a point up to H2."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on one core (AVX2 or better) and peak bytes of the process, imports included."""

    seconds: float
    bytes: int


def cost(n: int, d: int, maxdim: int) -> Cost:
    """Predict the lazy engine on a trajectory of `n` distinct points of `d` numbers up to `maxdim`.

    Clouds of noise take far longer; what they may take is bounded by a budget (`default_budget`).
    """
    distances = n * n * (4e-9 + 1.2e-11 * d)
    core = (1.0e-9 * n**2, 3.0e-9 * n**2.17, 4.5e-9 * n**2.36)[min(maxdim, 2)]
    return Cost(SAFETY * (0.001 + distances + core), 80_000_000 + 11 * n * n + 12 * n * d)


def default_budget(n: int) -> int:
    """Cofacet searches after which a cloud of `n` points is given up as noise.

    A search scans two or three rows of n codes, so at n = 1000 the default is about ten seconds.
    """
    return OPERATIONS_PER_POINT * max(n, 100)
