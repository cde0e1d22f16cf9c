"""The mean of independent units: its interval, and whether it is what a null says, by Student's t.

Values of one unit (runs of a prompt) are averaged first, so that their number buys no certainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators import student
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS
from panic_hpc.analysis.trajectory_set import codes_of


@dataclass(frozen=True)
class UnitMeans:
    """Means of units: (units,) float64, at least one."""

    values: NDArray[np.float64]

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over units."""
        return float(self.values.mean())

    @cached_property
    def error(self) -> float:
        """Standard error of it, nan of one unit."""
        return float(self.values.std(ddof=1) / np.sqrt(self.n)) if self.n > 1 else float("nan")

    def bounds(self, level: float) -> tuple[float, float]:
        """Return the interval of the mean, nan of one unit."""
        reach = student.reach(self.error, level, self.n - 1)
        return self.mean - reach, self.mean + reach

    def bounded(self, level: float) -> tuple[float, float, float]:
        """Return (mean, low, high), bounds nan of too few units for an interval in a report."""
        if self.n < FEWEST_UNITS:
            return self.mean, float("nan"), float("nan")
        return (self.mean, *self.bounds(level))

    def p_above(self, null: float, alike: float) -> float:
        """Return p that the mean is at most `null`; nan of one unit.

        `alike` is the probability of one unit's value where all have the same, above the null:
        their spread then tells nothing.
        """
        away = self.mean - null
        if self.error == 0:
            return float(alike**self.n) if away > 0 else 1.0
        return student.p_above(away, self.error, self.n - 1)

    def p_differs(self, null: float) -> float:
        """Return p that the mean is `null`: the sign test's where all units are alike."""
        away = self.mean - null
        if self.error == 0:
            return 1.0 if away == 0 else 2.0 ** (1 - self.n)
        return student.p_differs(away, self.error, self.n - 1)


def unit_means(values: ArrayLike, units: Sequence[object] | NDArray[np.generic]) -> UnitMeans:
    """Return the means of units in order of appearance, of finite values (n,) and their labels."""
    codes, names = codes_of(units)
    sums = np.bincount(codes, np.asarray(values, np.float64), len(names))
    return UnitMeans(sums / np.bincount(codes))
