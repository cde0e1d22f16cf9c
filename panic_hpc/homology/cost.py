"""Predicted seconds and bytes of one set of diagrams; standard library only, for the planner."""

from dataclasses import dataclass

SAFETY = 2.0
"""Twice the fits below is what AVX2 takes, or a little more, and up to 2.9 times what AMX takes."""

OPERATIONS_PER_POINT = 20_000
"""Trajectories of 1000 to 10 000 points took 100 to 2100 cofacet searches a point up to H2."""

LAZY_MAXDIM = 2
"""The highest dimension of the lazy engine."""

MOST_ANNOTATED = 400
"""Most points of noise whose voids are swept, as in the native core."""

SECONDS_PER_OPERATION = 1e-6
"""Of noise; 0.3 to 1.0 millionths were seen."""

TRAJECTORY_SPREAD = 0.2
"""Trajectories have 0.14 to 0.25; the more points, the less."""

NOISE_SPREAD = 0.1
"""Uniform directions in 25 dimensions have this spread, in more of them less."""

NOISE_RATIO = 3.0
"""Loops to be examined per point above which a cloud is like noise; trajectories are below 1."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on one core (AVX2 or better) and peak bytes of the process, imports included."""

    seconds: float
    bytes: int


def cost(n: int, d: int, maxdim: int, spread: float = TRAJECTORY_SPREAD) -> Cost:
    """Predict the lazy engine on `n` distinct points of `d` numbers up to dimension `maxdim`.

    `spread` is the standard deviation of the distances over their mean, which
    `distance_matrix.spread` samples; without it a trajectory is meant. Surrogates of trajectories
    cost what these do. Below NOISE_SPREAD the cloud is taken for uniform noise, and what that takes
    is bounded by the budget (`default_budget`). Clouds whose lengths vary, not just their
    directions, cost less than noise of the same spread.
    """
    components = 0.001 + n**2 * (2e-9 + 1.15e-11 * d)
    loops, voids = 1.2e-8 * n**2, 1.35e-9 * n**2.5
    core = (0.0, loops, loops + voids)[min(maxdim, 2)]
    seconds = SAFETY * (components + core)
    nbytes = 80_000_000 + 11 * n * n + 12 * n * d
    if maxdim == 0 or spread >= NOISE_SPREAD:
        return Cost(seconds, nbytes)
    noise = _noise_cost(n, maxdim, spread)
    return Cost(seconds + noise.seconds, nbytes + noise.bytes)


def _noise_cost(n: int, maxdim: int, spread: float) -> Cost:
    """What uniform directions take more than a trajectory; fitted in 16 to 3000 dimensions."""
    # Directions in D dimensions have the spread 1 / (2 sqrt(D)).
    share = (0.5 / spread / 768**0.5) if spread > 0 else 2.0
    seconds, nbytes = 0.3 * share * (n / 1000) ** 5, 45e6 * (n / 1000) ** 3
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
