"""Null models: point clouds like a trajectory in size and spread, without its topology.

`gaussian` has the trajectory's mean and covariance and no order in time. `phase_randomised` keeps
each component's autocorrelation and the correlations between components too (Prichard and
Theiler, "Generating surrogate data for time series with several simultaneously measured
variables", Physical Review Letters 73, 1994).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from panic_hpc.keys import hash_seed

Points = NDArray[np.float32]


def gaussian(points: Points, rng: np.random.Generator) -> Points:
    """Return (T, D) float32 points drawn with the mean and covariance of `points`."""
    centred = _centred(points)
    # Combinations of the centred points have their covariance; no D by D matrix, singular for T <
    # D, has to be factored.
    weights = rng.standard_normal((len(points), len(points))) / np.sqrt(max(1, len(points) - 1))
    return np.asarray(weights @ centred + points.mean(axis=0), dtype=np.float32)


def phase_randomised(points: Points, rng: np.random.Generator) -> Points:
    """Return (T, D) float32 points with the power and cross spectra of `points`."""
    spectrum = np.fft.rfft(_centred(points), axis=0)
    # One phase a frequency for all components: this keeps the correlations between them.
    phases = rng.uniform(0.0, 2 * np.pi, len(spectrum))
    # The mean, and for even T the highest frequency, are real and must stay so.
    phases[0] = 0.0
    if len(points) % 2 == 0:
        phases[-1] = 0.0
    turned = spectrum * np.exp(1j * phases)[:, None]
    moved = np.fft.irfft(turned, n=len(points), axis=0)
    return np.asarray(moved + points.mean(axis=0), dtype=np.float32)


def _centred(points: Points) -> NDArray[np.float64]:
    exact = points.astype(np.float64)
    return np.asarray(exact - exact.mean(axis=0))


NULL_MODELS: tuple[Callable[[Points, np.random.Generator], Points], ...] = (
    gaussian,
    phase_randomised,
)


def null_clouds(points: Points, key: str, count: int) -> Iterator[Points]:
    """Yield `count` clouds of each null model in turn, seeded by the run's key alone."""
    for number, draw in enumerate(NULL_MODELS):
        for place in range(count):
            # By key, not by place: a run has the same draws in whatever shard and order.
            seed = hash_seed("null model", number, place, int(key, 16))
            yield draw(points, np.random.default_rng(seed))
