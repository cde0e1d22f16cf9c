"""Numbers of one persistence diagram: Betti curves and what bars add up to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError
from panic_hpc.homology.entropy import persistence_entropy

Bars = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class BarSummary:
    """A diagram (n, 2) of one homology dimension in numbers; lengths in units of its metric.

    bars     that die, with multiplicity
    endless  that never die; they count in no length
    total    sum of lengths, 0 of none
    longest  the largest length, 0 of none
    entropy  of the lengths' shares, nats; nan of none, 0 of one
    """

    bars: int
    endless: int
    total: float
    longest: float
    entropy: float


def betti_curve(dgm: Bars, grid: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return how many bars are alive at each value of a grid: born at or before, not yet dead.

    Equal bars count each; bars that never die count from their birth on; an empty diagram is zero
    everywhere. Raises AnalysisError where a birth or death is not a number.
    """
    bars = _checked(dgm)
    born = np.searchsorted(np.sort(bars[:, 0]), grid, side="right")
    dead = np.searchsorted(np.sort(bars[:, 1]), grid, side="right")
    return np.asarray(born - dead, dtype=np.int64)


def summarise_bars(dgm: Bars) -> BarSummary:
    """Return the numbers of a diagram; AnalysisError where a birth or death is not a number."""
    bars = _checked(dgm)
    lengths = bars[:, 1] - bars[:, 0]
    endless = int(np.isinf(lengths).sum())
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    if len(lengths) == 0:
        return BarSummary(0, endless, 0.0, 0.0, float("nan"))
    entropy = persistence_entropy(bars)
    return BarSummary(len(lengths), endless, float(lengths.sum()), float(lengths.max()), entropy)


def _checked(dgm: Bars) -> NDArray[np.float64]:
    bars = np.asarray(dgm, dtype=np.float64).reshape(-1, 2)
    if np.isnan(bars).any() or np.isinf(bars[:, 0]).any():
        raise AnalysisError("a bar is not a number, or was never born")
    return bars
