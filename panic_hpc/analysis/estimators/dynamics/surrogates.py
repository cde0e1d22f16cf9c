"""Drift-matched surrogates: runs that wander as far and as slowly as a given one, without events.

Phase-randomised surrogates (Prichard and Theiler, Physical Review Letters 73, 1994) keep what a run
drifts by and the space that it drifts in, and have no wells, no jumps and nowhere to return to:
what a run does and its surrogates do not is more than drift. Fourier series are periodic, so a run
that ends elsewhere than it began would lend its surrogates a jump: the line from its beginning to
its end is taken away before, and put back.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.principal_axes import coordinates

Points = NDArray[np.float64]

_ENDS = 5
"""States whose mean is a run's beginning, or end."""


def drift_matched(
    states: NDArray[np.floating], rng: np.random.Generator, draws: int
) -> Iterator[Points]:
    """Yield surrogates (T, r) of a run's finite states (T, D), r the smaller of T and D.

    Distances are what surrogates share with their run: coordinates are along principal axes.
    """
    points = coordinates(states)
    n = len(points)
    ends = min(_ENDS, n)
    away = points[-ends:].mean(axis=0) - points[:ends].mean(axis=0)
    line = np.linspace(-0.5, 0.5, n)[:, None] * away
    spectrum = np.fft.rfft(points - line, axis=0)
    for _ in range(draws):
        # One phase a frequency for all components, which keeps them together; the mean, and of an
        # even number of states the highest frequency, are real and stay so.
        turns = np.exp(2j * np.pi * rng.random(len(spectrum)))
        turns[0] = 1.0
        if n % 2 == 0:
            turns[-1] = 1.0
        yield np.fft.irfft(spectrum * turns[:, None], n=n, axis=0) + line
