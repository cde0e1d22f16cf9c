"""Predicted seconds and bytes of one set of diagrams; standard library only, for the planner."""

from dataclasses import dataclass

SAFETY = 2.0
"""The fits below are within 40 % on trajectories; a walltime should hold on a busy node too."""

OPERATIONS_PER_POINT = 20_000
"""Trajectories of 1000 to 10 000 points took 100 to 2100 cofacet searches a point up to H2."""

LAZY_MAXDIM = 2
"""The highest dimension of the lazy engine."""

NOISE_RATIO = 3.0
"""Loops to be examined per point above which a cloud is like noise; trajectories are below 1."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on one core (AVX2 or better) and peak bytes of the process, imports included."""

    seconds: float
    bytes: int


def cost(n: int, d: int, maxdim: int) -> Cost:
    """Predict the lazy engine on a trajectory of `n` distinct points of `d` numbers up to `maxdim`.

    Clouds of noise take far longer; what they may take is bounded by a budget (`default_budget`).
    """
    components = 0.001 + n**2 * (4.5e-9 + 1.6e-11 * d)
    loops, voids = 2.4e-8 * n**2, 1.35e-9 * n**2.5
    core = (0.0, loops, loops + voids)[min(maxdim, 2)]
    return Cost(SAFETY * (components + core), 80_000_000 + 11 * n * n + 12 * n * d)


def default_budget(n: int) -> int:
    """Cofacet searches after which a cloud of `n` points is given up as noise.

    A search scans two or three rows of n codes, so at n = 1000 the default is about ten seconds.
    """
    return OPERATIONS_PER_POINT * max(n, 100)
