"""Does the theme of a run stand still? Means of its stretches against the noise band.

The second half of a run is cut into stretches. Where it stands still but for noise all orders of
its states are alike, whatever the noise and its dimensions: means of stretches are then no farther
apart than those of the same states in another order, which is the noise band. The variance of the
theme is that of these means beyond noise, as in an analysis of variance. A theme that is stationary
is as far away after six stretches as after three; one that still leaves is farther.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError

STRETCHES = 8
SHORTEST_STRETCH = 3
FEWEST_STATES = 2 * STRETCHES * SHORTEST_STRETCH
_NEAR = (STRETCHES // 2 - 1, STRETCHES // 2)
_FAR = (STRETCHES - 2, STRETCHES - 1)
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Stationarity:
    """How the theme of one run moves in its second half; distances are cosine distances.

    p           that the stretches' means are as far apart as noise leaves them
    theme       variance of stretch means beyond noise; 0 on average where it stands still
    growth      distance of stretches that are far apart in time, less that of nearer ones
    from_first  (stretches - 1,) distance of each later stretch's mean from the first one's
    noise       (draws,) the distance of two stretch means that noise makes
    width       states of a stretch
    """

    p: float
    theme: float
    growth: float
    from_first: NDArray[np.float64]
    noise: NDArray[np.float64]
    width: int


def stationarity(
    states: NDArray[np.floating], rng: np.random.Generator, *, draws: int = 199
) -> Stationarity:
    """Return how the theme of a run of unit vectors (T, D) moves in its second half.

    AnalysisError where it is too short for eight stretches of three states, or not finite.
    """
    late = np.asarray(states[len(states) // 2 :], np.float32)
    width = len(late) // STRETCHES
    if width < SHORTEST_STRETCH or not np.isfinite(late).all():
        raise AnalysisError(f"finite states are needed, {FEWEST_STATES} at least")
    late = late[-STRETCHES * width :]
    late = late - late.mean(axis=0)
    means = late.reshape(STRETCHES, width, -1).mean(axis=1)
    within = late.reshape(STRETCHES, width, -1) - means[:, None]
    noise = float((within.astype(np.float64) ** 2).sum()) / (STRETCHES * (width - 1))
    apart = _apart(means)
    drawn = np.stack([_apart(one) for one in _shuffled_means(late, width, rng, draws)])
    all_pairs = np.triu_indices(STRETCHES, 1)
    found, null = apart[all_pairs].mean(), drawn[:, *all_pairs].mean(axis=1)
    more = int((null >= found * (1 - 1e-6) - _NOTHING).sum())
    return Stationarity(
        p=(1 + more) / (1 + draws),
        theme=float(found) - noise / width,
        growth=_at(apart, _FAR) - _at(apart, _NEAR),
        from_first=apart[0, 1:],
        noise=drawn[:, 0, 1],
        width=width,
    )


def _shuffled_means(
    states: NDArray[np.float32], width: int, rng: np.random.Generator, draws: int
) -> NDArray[np.float64]:
    """Return means of stretches of the same states in random orders: (draws, stretches, D)."""
    n = len(states)
    stretch = np.repeat(np.arange(STRETCHES), width)
    shares = np.zeros((draws, STRETCHES, n), np.float32)
    for one in shares:
        one[stretch, rng.permutation(n)] = 1 / width
    means = shares.reshape(-1, n) @ states
    return means.reshape(draws, STRETCHES, -1).astype(np.float64)


def _apart(means: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return half the squared distances of means (stretches, D): of states the cosine ones."""
    exact = np.asarray(means, np.float64)
    gram = exact @ exact.T
    lengths = np.diag(gram)
    return np.asarray((lengths[:, None] + lengths[None]) / 2 - gram)


def _at(apart: NDArray[np.float64], separations: tuple[int, ...]) -> float:
    return float(np.concatenate([np.diagonal(apart, k) for k in separations]).mean())
