"""Intervals over whole units: prompts are drawn, and all runs of a prompt with it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators import student
from panic_hpc.analysis.trajectory_set import codes_of

if TYPE_CHECKING:
    from panic_hpc.analysis.base import AnalysisSettings

FEWEST_UNITS = 4
"""Of fewer units there is no interval: a bootstrap of three has ten different draws."""


def unit_weights(n_units: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each unit is drawn: (draws, units), each row summing up to `n_units`."""
    return rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=draws).astype(float)


def interval(draws: ArrayLike, level: float, n_units: int = 0) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws, (nan, nan) of none that is finite.

    With `n_units` it is widened by sqrt(n / (n - 1)) and by Student's quantile over the
    normal one, since percentiles of few units are too narrow (Hesterberg 2015,
    The American Statistician 69, section 3.2).
    """
    values = np.asarray(draws, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    if n_units > 1:
        from scipy.stats import norm

        # The tail of the bootstrap distribution that has Student's width.
        wide = np.sqrt(n_units / (n_units - 1)) * student.quantile(tail, n_units - 1)
        tail = float(norm.cdf(wide))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_means(
    values: ArrayLike, units: Sequence[object], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the mean of `values` (n,) in each draw of whole units; nan values are left out."""
    known = np.asarray(values, dtype=float)
    codes, names = codes_of(units)
    is_known = np.isfinite(known)
    sums = np.bincount(codes[is_known], known[is_known], len(names))
    counts = np.bincount(codes[is_known], minlength=len(names)).astype(float)
    weights = unit_weights(len(names), draws, rng)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ sums) / (weights @ counts))


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], float],
    n_units: int,
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return a statistic of unit weights (units,) in each draw."""
    return np.array([statistic(w) for w in unit_weights(n_units, draws, rng)])


def mean_interval(
    values: ArrayLike, units: Sequence[object], settings: "AnalysisSettings"
) -> tuple[float, float, float]:
    """Return (mean, low, high) over units; bounds are nan where there are too few units."""
    known = np.asarray(values, dtype=float)
    mean = float(np.nanmean(known)) if np.isfinite(known).any() else float("nan")
    n_units = len(set(units))
    if n_units < FEWEST_UNITS:
        return mean, float("nan"), float("nan")
    rng = np.random.default_rng(settings.seed)
    means = bootstrap_means(known, units, settings.draws, rng)
    return (mean, *interval(means, settings.level, n_units))


def share_interval(
    is_so: Sequence[bool], units: Sequence[object], settings: "AnalysisSettings"
) -> tuple[float, float, float]:
    """Return (share, low, high) of what is so, over units.

    Where all or none is so a bootstrap has no width: the interval is Wilson's for as many trials as
    units.
    """
    share, low, high = mean_interval([float(one) for one in is_so], units, settings)
    n_units = len(set(units))
    if n_units < FEWEST_UNITS or 0 < share < 1:
        return share, low, high
    reach = unanimous_reach(n_units, settings.level)
    return share, 1 - reach if share else 0.0, 1.0 if share else reach


def unanimous_reach(n_units: int, level: float) -> float:
    """Return how far Wilson's interval goes from 0 or 1 where all of `n_units` trials agree."""
    from scipy.stats import norm

    z2 = float(norm.ppf((1 + level) / 2)) ** 2
    return z2 / (n_units + z2)
