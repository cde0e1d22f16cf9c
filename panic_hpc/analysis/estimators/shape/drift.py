"""Walks with the drift of a run and nothing else: what its diagrams are to be compared with.

An Ornstein-Uhlenbeck process with noise, fitted to the mean squared distance by lag,

    v(k) = 2 noise + 2 theme (1 - exp(-k / tau)),

drawn about a mean of the run's own length in as many dimensions as its steps really have, and
scaled to length 1 as embeddings are. Phase-randomised surrogates keep the drift of a stationary run
too, but they are periodic: the leap from its end back to its start is spread over all steps, which
alone puts nine of ten runs of pure drift below all of theirs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError

FEWEST_STATES = 8
_TIMES = 40


@dataclass(frozen=True, slots=True)
class Drift:
    """A run's drift.

    noise, theme  variances: of each state anew, and of what wanders
    tau           correlation time of what wanders, in states
    dimensions    that steps really have, by their participation ratio
    states        of the run
    """

    noise: float
    theme: float
    tau: float
    dimensions: int
    states: int

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a walk (states, dimensions) of that drift, of length 1."""
        lags = np.abs(np.subtract.outer(np.arange(self.states), np.arange(self.states)))
        # A little on the diagonal: without noise it is singular up to rounding.
        own = self.noise + 1e-9 * self.theme
        covariance = self.theme * np.exp(-lags / self.tau) + own * (lags == 0)
        walk = np.linalg.cholesky(covariance) @ rng.standard_normal((self.states, self.dimensions))
        walk /= np.sqrt(self.dimensions)
        # In a dimension in which it wanders too: lengths vary as those of the run did.
        walk[:, 0] += np.sqrt(max(1e-9, 1 - self.theme - self.noise))
        return np.asarray(walk / np.linalg.norm(walk, axis=1)[:, None], dtype=np.float32)


def fit_drift(points: NDArray[np.floating]) -> Drift:
    """Return the drift of a run's unit vectors (T, D), evenly spaced in time.

    AnalysisError for fewer than eight states, or states that are all equal.
    """
    table = np.asarray(points, dtype=np.float64)
    n = len(table)
    if n < FEWEST_STATES:
        raise AnalysisError(f"{n} states: a drift is fitted to {FEWEST_STATES}")
    gram = table @ table.T
    lengths = np.diag(gram)
    squares = lengths[:, None] + lengths[None] - 2 * gram
    lags = np.arange(1, n // 2 + 1)
    seen = np.array([np.diagonal(squares, lag).mean() for lag in lags])
    if seen.max() < 1e-10:
        raise AnalysisError("all states are equal: there is no drift")
    noise, theme, tau = _fitted(lags, seen, np.sqrt(n - lags))
    return Drift(noise, theme, tau, _dimensions(np.diff(table, axis=0), table.shape[1]), n)


def _fitted(
    lags: NDArray[np.int64], seen: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return noise, theme and tau of least squares: linear but for tau, which is tried."""
    from scipy.optimize import nnls

    found = []
    for tau in np.geomspace(0.5, 20 * lags[-1], _TIMES).tolist():
        columns = 2 * np.stack([np.ones(len(lags)), 1 - np.exp(-lags / tau)], axis=1)
        (noise, theme), error = nnls(columns * weights[:, None], seen * weights)
        found.append((float(error), float(noise), float(theme), tau))
    return min(found)[1:]


def _dimensions(steps: NDArray[np.float64], most: int) -> int:
    """Return the participation ratio of steps' covariance, from pairs far apart: without bias."""
    gram = steps @ steps.T
    places = np.arange(len(gram))
    far = np.abs(places[:, None] - places[None]) > 2
    ratio = np.diag(gram).mean() ** 2 / max(float((gram[far] ** 2).mean()), 1e-30)
    return int(np.clip(round(ratio), 1, most))
