"""Is one arm better than another? Differences of pairs, judged over prompts.

Pairs share prompt and seed. Pairs of one prompt are not independent of each other, so that what is
drawn, flipped and counted are prompts: a t interval over the prompts' mean differences, and a
p-value from flipping their signs (Fisher's randomisation test). Several arms against one are
corrected by Holm's method (Scandinavian Journal of Statistics 6, 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.unit_means import unit_means

FEWEST_PROMPTS = 6
"""Of fewer prompts no flip of signs can reach 0.05: 2 of 32 arrangements are as extreme."""

EXACT_PROMPTS = 13
"""Up to so many prompts all arrangements of signs are counted, 8,192 of them."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much more one arm has than another, over pairs.

    mean: the mean over prompts of the mean difference of a prompt's pairs; nan without a pair.
    low, high: the interval of the mean, nan where there is none.
    p: of no difference, two-sided; nan where there is none.
    n_units, n_pairs: prompts and pairs that it rests on.
    why: why there is no interval, "" where there is one.
    """

    mean: float
    low: float
    high: float
    p: float
    n_units: int
    n_pairs: int
    why: str = ""


def paired_difference(
    differences: ArrayLike,
    units: Sequence[object],
    *,
    level: float = 0.95,
    flips: int = 9_999,
    seed: int = 0,
) -> PairedDifference:
    """Judge the differences (n,) of pairs by the units, prompts, that they belong to.

    Values that are not finite are left out. `flips` random arrangements of signs are counted where
    there are more than EXACT_PROMPTS units.

    Example:
        >>> found = paired_difference([0.1, 0.2, 0.1, 0.3, 0.2, 0.2], "abcdef")
        >>> round(found.mean, 3), found.p
        (0.183, 0.03125)
    """
    values = np.asarray(differences, dtype=float)
    is_known = np.isfinite(values)
    known = [unit for unit, keep in zip(units, is_known.tolist(), strict=True) if keep]
    n_pairs = len(known)
    if n_pairs == 0:
        why = "no pair of equal prompt and seed"
        return PairedDifference(np.nan, np.nan, np.nan, np.nan, 0, 0, why)
    means = unit_means(values[is_known], known)
    mean, n_units = means.mean, means.n
    if n_units < FEWEST_PROMPTS:
        why = f"{n_units} of the {FEWEST_PROMPTS} prompts that an interval needs"
        return PairedDifference(mean, np.nan, np.nan, np.nan, n_units, n_pairs, why)
    low, high = means.bounds(level)
    p = sign_flip_p(means.values, flips, np.random.default_rng(seed))
    return PairedDifference(mean, low, high, p, n_units, n_pairs)


def sign_flip_p(means: NDArray[np.float64], flips: int, rng: np.random.Generator) -> float:
    """Return the share of arrangements of signs whose mean is as far from 0, the own among them."""
    n = len(means)
    is_exact = n <= EXACT_PROMPTS
    if is_exact:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        bits = rng.integers(0, 2, (flips, n))
    # Against the same sum in the same order: that of other roundings would count or miss ties.
    sums = np.abs((2 * bits - 1) @ means)
    far = int(np.sum(sums >= np.abs(means.sum()) * (1 - 1e-12)))
    return far / len(bits) if is_exact else (far + 1) / (flips + 1)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values corrected so that all of a family are right at once; nan stays nan.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
