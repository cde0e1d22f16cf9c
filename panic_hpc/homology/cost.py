"""Predicted seconds and bytes of one set of diagrams; standard library only, for the planner."""

import math
from dataclasses import dataclass

SAFETY = 2.0
"""Twice the fits below is 0.4 to 3.5 times what AVX2 takes, and 0.7 to 3.4 times what AMX takes."""

OPERATIONS_PER_POINT = 20_000
"""Trajectories of 1000 to 10 000 points took 100 to 2100 cofacet searches a point up to H2."""

LAZY_MAXDIM = 2
"""The highest dimension of the lazy engine."""

MOST_ANNOTATED = 400
"""Most points of noise whose voids are swept, as in the native core."""

SECONDS_PER_OPERATION = 1e-6
"""Of noise; 0.3 to 1.0 millionths were seen."""

TRAJECTORY_LOOPS = 0.7
"""Loops to be examined per point of trajectories: 0.3 to 1."""

FEW_LOOPS = 2.5
"""Below, nothing is swept as noise is; the engine's ways part at 3, and this is sampled."""

NOISE_RATIO = 3.0
"""Loops to be examined per point above which a cloud is like noise; trajectories are below 1."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on one core (AVX2 or better) and peak bytes of the process, imports included."""

    seconds: float
    bytes: int


def cost(n: int, d: int, maxdim: int, loops: float = TRAJECTORY_LOOPS) -> Cost:
    """Predict the lazy engine on `n` distinct points of `d` numbers up to dimension `maxdim`.

    `loops` are those to be examined per point, which `distance_matrix.loops_per_point` samples;
    without it a trajectory is meant. Surrogates of trajectories cost what these do. Clouds with
    more of them are noise, the more so the nearer they come to uniform directions (`worst_loops`),
    and what that takes is bounded by the budget (`default_budget`).
    """
    components = 0.001 + n**2 * (2e-9 + 1e-11 * d)
    # Clouds without loops have little to reduce; voids grow faster than loops do.
    share = min(max(loops / TRAJECTORY_LOOPS, 0.2), FEW_LOOPS / TRAJECTORY_LOOPS)
    reduced, voids = 1e-8 * n**2 * min(share, 1.0), 5.5e-10 * n**2.5 * share**1.5
    core = (0.0, reduced, reduced + voids)[min(maxdim, 2)]
    seconds = SAFETY * (components + core)
    nbytes = 80_000_000 + 11 * n * n + 12 * n * d
    if maxdim == 0 or loops < FEW_LOOPS:
        return Cost(seconds, nbytes)
    noise = _noise_cost(n, maxdim, loops)
    return Cost(seconds + noise.seconds, nbytes + noise.bytes)


def worst_loops(n: int) -> float:
    """Loops per point of `n` uniform directions in 3000 dimensions; in 768 four fifths of them."""
    return 0.43 * math.sqrt(n)


def _noise_cost(n: int, maxdim: int, loops: float) -> Cost:
    """What noise takes more than a trajectory; fitted to directions in 16 to 3000 dimensions."""
    # Of 768 dimensions, and by the third power of loops: what fills in is reduced like a matrix.
    share = 1.7 * (loops / worst_loops(n)) ** 3
    seconds, nbytes = 0.15 * share * (n / 1000) ** 5, 45e6 * (n / 1000) ** 3
    if maxdim > 1:
        seconds += 0.36 * share * (n / 300) ** 6 + 1.2e-3 * (n / 100) ** 3
        # Rows of triangles, which larger clouds do not get.
        nbytes += 60e6 * (n / 300) ** 5 if n <= MOST_ANNOTATED else 0.0
    longest = SECONDS_PER_OPERATION * default_budget(n)
    return Cost(min(SAFETY * seconds, longest), int(nbytes))


def default_budget(n: int) -> int:
    """Cofacet searches after which a cloud of `n` points is given up as noise.

    A search scans two or three rows of n codes, and a sweep of noise counts as much work as one, so
    at n = 1000 the default is about ten seconds.
    """
    return OPERATIONS_PER_POINT * max(n, 100)
