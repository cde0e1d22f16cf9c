"""Survival with censoring: the product-limit estimate, with intervals over whole units.

Kaplan and Meier, Journal of the American Statistical Association 53, 1958. Dwells of one run, and
runs of one prompt, are alike; so prompts are drawn with all that is theirs, where Greenwood's
variance would count every dwell as one more observation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS, unit_weights
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.errors import AnalysisError

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Survival:
    """A survival curve, with bounds over units; bounds are nan where units are too few.

    times      (n,) at which something ended, ascending
    share      (n,) that last longer than each time
    low, high  (n,) its bounds
    median     time that half of them outlast; inf where more than half last till watching stops
    longest    for which any was watched
    n, events  what was watched, and how much of it ended
    n_units    independent units
    """

    times: Column
    share: Column
    low: Column
    high: Column
    median: float
    median_low: float
    median_high: float
    longest: float
    n: int
    events: int
    n_units: int

    def steps(self) -> Iterator[tuple[float, float, float, float]]:
        """Yield (time, share, low, high) of the curve, from all at 0 to when watching stopped.

        Without these two a thing that nothing ends had no curve, and one seemed to end at its last.
        """
        sure = 1.0 if self.n_units >= FEWEST_UNITS else float("nan")
        now = (0.0, 1.0, sure, sure)
        columns = (self.times, self.share, self.low, self.high)
        if 0.0 not in self.times:
            yield now
        for now in zip(*(column.tolist() for column in columns), strict=True):
            yield now
        if self.longest > now[0]:
            yield (self.longest, *now[1:])


def kaplan_meier(
    durations: ArrayLike,
    has_ended: ArrayLike,
    units: ArrayLike,
    *,
    level: float = 0.95,
    draws: int = 999,
    seed: int = 0,
) -> Survival:
    """Estimate how long things last.

    Args:
        durations: (n,) how long each was watched.
        has_ended: (n,) whether it ended then; else it was still there when watching stopped.
        units: (n,) labels of independent units (prompts).
        level, draws, seed: of the bootstrap over units.

    Raises:
        AnalysisError: nothing was watched.
    """
    time, ended = np.asarray(durations, float), np.asarray(has_ended, bool)
    if len(time) == 0:
        raise AnalysisError("nothing was watched")
    part = factor("unit", units)
    times = np.unique(time[ended])
    counts = _counts(time, ended, times, part.codes, part.n_levels)
    share = _curves(*counts, np.ones((1, part.n_levels)))
    low = high = np.full(len(times), np.nan)
    bounds = (float("nan"), float("nan"))
    if part.n_levels >= FEWEST_UNITS:
        weights = unit_weights(part.n_levels, draws, np.random.default_rng(seed))
        drawn = _curves(*counts, weights)
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(drawn, tails, axis=0)
        # Not between two draws: a median that is not reached is infinite.
        middle = np.sort(_medians(times, drawn))
        places = np.clip(np.rint(np.array(tails) * (draws - 1)).astype(int), 0, draws - 1)
        bounds = (float(middle[places[0]]), float(middle[places[1]]))
    return Survival(
        times, share[0], low, high, float(_medians(times, share)[0]), *bounds,
        longest=float(time.max()), n=len(time), events=int(ended.sum()), n_units=part.n_levels,
    )  # fmt: skip


def _counts(
    time: Column, ended: NDArray[np.bool_], times: Column, units: NDArray[np.int64], n_units: int
) -> tuple[Column, Column]:
    """Return (units, times): how many are at risk at each time, and how many end then.

    By unit, since they are drawn whole: a table of things by times would have gigabytes.
    """
    n = len(times)
    size = n_units * (n + 1)
    # Watched at its first `known` times, each of them.
    known = np.searchsorted(times, time, side="right")
    last = np.bincount(units * (n + 1) + known, minlength=size).reshape(n_units, n + 1)
    at_risk = last[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    place = np.searchsorted(times, time[ended])
    ends = np.bincount(units[ended] * (n + 1) + place, minlength=size).reshape(n_units, n + 1)
    return at_risk.astype(float), ends[:, :n].astype(float)


def _curves(at_risk: Column, ends: Column, weights: Column) -> Column:
    """Return the share that outlasts each time, (draws, times), of weights (draws, units)."""
    there = weights @ at_risk
    gone = np.where(there > 0, weights @ ends / np.maximum(there, 1e-300), 0.0)
    return np.asarray(np.cumprod(1 - gone, axis=1))


def _medians(times: Column, curves: Column) -> Column:
    if len(times) == 0:
        return np.full(len(curves), np.inf)
    below = curves <= 0.5 + 1e-12
    return np.where(below.any(axis=1), times[below.argmax(axis=1)], np.inf)
