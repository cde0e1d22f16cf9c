"""Drift-matched surrogates: runs that wander as far and as slowly as a given one, without events.

Phase-randomised surrogates (Prichard and Theiler, Physical Review Letters 73, 1994) keep what a run
drifts by and the space that it drifts in, and have no wells, no jumps and nowhere to return to:
what a run does and its surrogates do not is more than drift. Fourier series are periodic, so a run
that ends elsewhere than it began would lend its surrogates a jump: the line from its beginning to
its end is taken away before, and put back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.principal_axes import coordinates

Points = NDArray[np.float64]

_ENDS = 5
"""States whose mean is a run's beginning, or end."""


@dataclass(frozen=True, slots=True)
class DriftSpectrum:
    """What surrogates of a run share with it.

    series  (r, F) Fourier series of the components of its way without the line, by frequency
    away    (r,) from its beginning to its end
    states  of the run
    """

    series: NDArray[np.complex128]
    away: Points
    states: int

    @classmethod
    def of(cls, states: NDArray[np.floating]) -> "DriftSpectrum":
        """Take a run's finite states (T, D); r is the smaller of T and D."""
        from scipy.fft import rfft

        points = coordinates(states)
        n = len(points)
        ends = min(_ENDS, n)
        away = points[-ends:].mean(axis=0) - points[:ends].mean(axis=0)
        way = points - np.linspace(-0.5, 0.5, n)[:, None] * away
        # Components first: series that lie in one piece are transformed several times as fast.
        return cls(rfft(np.ascontiguousarray(way.T), axis=1), away, n)

    def turns(self, rng: np.random.Generator) -> NDArray[np.complex128]:
        """Return (F,) random phases, one a frequency for all components, which keeps them together.

        The mean, and of an even number of states the highest frequency, are real and stay so.
        """
        turns = np.exp(2j * np.pi * rng.random(self.series.shape[1]))
        turns[0] = 1.0
        if self.states % 2 == 0:
            turns[-1] = 1.0
        return np.asarray(turns)


def drift_matched(
    states: NDArray[np.floating], rng: np.random.Generator, draws: int
) -> Iterator[Points]:
    """Yield surrogates (T, r) of a run's finite states (T, D), r the smaller of T and D.

    Distances are what surrogates share with their run: coordinates are along principal axes.
    """
    from scipy.fft import irfft

    spectrum = DriftSpectrum.of(states)
    n = spectrum.states
    line = np.linspace(-0.5, 0.5, n)[:, None] * spectrum.away
    for _ in range(draws):
        turned = irfft(spectrum.series * spectrum.turns(rng), n=n, axis=1)
        yield np.asarray(turned.T + line)
