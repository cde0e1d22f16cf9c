"""Walks with the drift of a run and nothing else: what its diagrams are to be compared with.

Ornstein-Uhlenbeck processes of several correlation times with noise, fitted to the mean squared
distance by lag,

    v(k) = 2 noise + 2 sum_j theme_j (1 - exp(-k / tau_j)),

drawn about a mean of the run's own length in as many dimensions as its steps really have, and
scaled to length 1 as embeddings are. One correlation time alone is too few: of runs that wander
quickly and slowly at once such walks differ at nearly every setting. Phase-randomised surrogates
keep the drift of a stationary run too, but they are periodic: the leap from its end back to its
start is spread over all steps, which alone puts nine of ten runs of pure drift below all of theirs.

Walks are Gaussian and alike in all their dimensions, which runs need not be.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

FEWEST_STATES = 8
_TIMES = 8
"""Correlation times that are tried together, from one state to twice the longest lag."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A run's drift.

    noise       variance of each state anew
    themes      (variance, correlation time in states) of each part of what wanders
    dimensions  that steps really have, by their participation ratio
    states      of the run
    """

    noise: float
    themes: tuple[tuple[float, float], ...]
    dimensions: int
    states: int

    @property
    def theme(self) -> float:
        """Variance of all that wanders."""
        return sum(variance for variance, _ in self.themes)

    @property
    def tau(self) -> float:
        """States after which 1/e of what wanders is left, 0 where nothing does."""
        from scipy.optimize import brentq

        def left(lag: float) -> float:
            return sum(v * math.exp(-lag / tau) for v, tau in self.themes) - self.theme / math.e

        longest = max((tau for _, tau in self.themes), default=0.0)
        return float(brentq(left, 0.0, 1.01 * longest)) if self.theme > 0 else 0.0

    def moved(self, lag: int) -> float:
        """Return the cosine distance that what wanders makes within a lag."""
        return sum(variance * -math.expm1(-lag / tau) for variance, tau in self.themes)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a walk (states, dimensions) of that drift, of length 1."""
        lags = np.abs(np.subtract.outer(np.arange(self.states), np.arange(self.states)))
        # A little on the diagonal: without noise it is singular up to rounding.
        covariance = (self.noise + 1e-9 * self.theme) * (lags == 0)
        for variance, tau in self.themes:
            covariance = covariance + variance * np.exp(-lags / tau)
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
        raise AnalysisError(f"{counted(n, 'state')}: a drift is fitted to {FEWEST_STATES}")
    gram = table @ table.T
    lengths = np.diag(gram)
    squares = lengths[:, None] + lengths[None] - 2 * gram
    lags = np.arange(1, n // 2 + 1)
    seen = np.array([np.diagonal(squares, lag).mean() for lag in lags])
    if seen.max() < 1e-10:
        raise AnalysisError("all states are equal: there is no drift")
    # Of a mean over n - k pairs that overlap by k; what is seen at a lag errs by a share of it.
    weights = np.sqrt((n - lags) / lags) / np.maximum(seen, 1e-3 * seen.max())
    noise, themes = _fitted(lags, seen, weights)
    return Drift(noise, themes, _dimensions(np.diff(table, axis=0), table.shape[1]), n)


def _fitted(
    lags: NDArray[np.int64], seen: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Return noise and themes by weighted least squares, none negative."""
    from scipy.optimize import nnls

    taus = np.geomspace(1.0, 2 * lags[-1], _TIMES)
    columns = 2 * np.column_stack([np.ones(len(lags)), 1 - np.exp(-lags[:, None] / taus)])
    (noise, *variances), _ = nnls(columns * weights[:, None], seen * weights)
    kept = zip(variances, taus.tolist(), strict=True)
    return float(noise), tuple((float(v), tau) for v, tau in kept if v > 0)


def _dimensions(steps: NDArray[np.float64], most: int) -> int:
    """Return the participation ratio of steps' covariance, from pairs far apart: without bias."""
    gram = steps @ steps.T
    places = np.arange(len(gram))
    far = np.abs(places[:, None] - places[None]) > 2
    ratio = np.diag(gram).mean() ** 2 / max(float((gram[far] ** 2).mean()), 1e-30)
    return int(np.clip(round(ratio), 1, most))
