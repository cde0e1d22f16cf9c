"""Do groups of runs differ in place or in spread? Permutation of whole units within strata.

`place` is PERMANOVA (Anderson, Austral Ecology 26, 2001) with, beside its pseudo-F, the F2 of
Anderson, Walsh, Clarke, Gorley and Guerra-Castro ("Some solutions to the multivariate
Behrens-Fisher problem for dissimilarity-based analyses", Australian & New Zealand Journal of
Statistics 59, 2017), which is the one to read: pseudo-F rejects far too often, or never, where
small groups are the wide or the tight ones. `spread` is PERMDISP (Anderson, Biometrics 62, 2006).

The unit of replication is said by the caller and is what is counted and permuted: points of one
unit (steps of a run, runs of a cell) are averaged first, so that their number buys no certainty.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.principal_axes import coordinates
from panic_hpc.analysis.estimators.variance.arrangements import (
    Arrangements,
    PermutationTest,
    averaging,
    sums_by_group,
)
from panic_hpc.analysis.estimators.variance.factors import (
    Codes,
    Points,
    factor,
    finite_rows,
)
from panic_hpc.errors import AnalysisError


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """Place and spread of groups of units.

    `omega2` is the share of the squared distances within strata that the groups account for, freed
    of its bias (0 on average where groups do not differ, and so at times negative); `eta2` the same
    with its bias.
    """

    pseudo_f: PermutationTest
    f2: PermutationTest
    spread: PermutationTest
    omega2: float
    eta2: float
    dropped: int
    """Points that were not finite, and strata that hold one group only."""


def compare_groups(
    points: ArrayLike,
    groups: ArrayLike,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> GroupDifference:
    """Compare groups in place and in spread, by permuting units among groups within strata.

    Args:
        points: (n, d) or (n,) real; rows that are not finite are left out and counted.
        groups: (n,) labels, the same for all points of a unit.
        units: (n,) labels of independent units; None: every point is one.
        strata: (n,) labels within which units may be exchanged under the null; None: all of them.
        permutations: random arrangements beside the observed one.
        seed: of these.

    Raises:
        AnalysisError: there is nothing to exchange, and why.

    Example:
        >>> found = compare_groups([0.0, 0.1, 0.2, 5.0, 5.1, 5.2], list("aaabbb"))
        >>> found.f2.p, found.f2.n_units
        (0.1, 6)
    """
    rows, kept = finite_rows(points)
    table = _unit_table(rows, kept, groups, units, strata)
    used, group, stratum = _exchangeable(*table)
    placed = coordinates(_centred_within(table[0][used], stratum))
    draws = Arrangements(group, stratum, permutations, seed)
    f, f2 = draws.statistics(placed, _place_statistics)
    # Pairs of one stratum, a unit of each group, mirror each other about their mean.
    is_paired = len(np.unique(np.stack([stratum, group]), axis=1)[0]) == len(group)
    spreading = coordinates(table[0][used]) if is_paired else placed
    dispersion = np.concatenate([_spread(rows, group) for rows in draws.residuals(spreading)])
    return GroupDifference(
        pseudo_f=draws.test("PERMANOVA pseudo-F", f),
        f2=draws.test("PERMANOVA F2", f2),
        spread=draws.test("PERMDISP F", dispersion),
        **_effect(placed, group, len(np.unique(stratum))),
        dropped=int((~kept).sum()) + int((~used).sum()),
    )


def _unit_table(
    rows: Points,
    kept: NDArray[np.bool_],
    groups: ArrayLike,
    units: ArrayLike | None,
    strata: ArrayLike | None,
) -> tuple[Points, Codes, Codes]:
    """Return a mean, a group and a stratum for each unit."""
    n = len(kept)
    unit = factor("unit", np.arange(n)[kept] if units is None else np.asarray(units)[kept])
    labels = [
        factor("label", np.zeros(n) if label is None else label).codes[kept]
        for label in (groups, strata)
    ]
    first = np.unique(unit.codes, return_index=True)[1]
    for label, word in zip(labels, ("groups", "strata"), strict=True):
        if np.any(label != label[first][unit.codes]):
            raise AnalysisError(f"a unit lies in several {word}: it cannot be exchanged as a whole")
    return unit.means(rows), labels[0][first], labels[1][first]


def _exchangeable(
    points: Points, group: Codes, stratum: Codes
) -> tuple[NDArray[np.bool_], Codes, Codes]:
    """Return which units are of strata with two groups or more, and the codes of these."""
    pairs = np.unique(np.stack([stratum, group]), axis=1)
    mixed = np.flatnonzero(np.bincount(pairs[0]) > 1)
    used = np.isin(stratum, mixed)
    if not used.any():
        found = len(np.unique(group))
        raise AnalysisError(
            "there is one group only: nothing to compare"
            if found < 2
            else f"none of {len(np.unique(stratum))} strata holds units of two of {found} groups"
        )
    n_strata = len(mixed)
    group, stratum = factor("", group[used]).codes, factor("", stratum[used]).codes
    if len(group) - n_strata - group.max() < 1:
        raise AnalysisError(
            f"{len(group)} units in {group.max() + 1} groups and {n_strata} strata: "
            "no unit is left to measure chance by"
        )
    return used, group, stratum


def _centred_within(points: Points, stratum: Codes) -> Points:
    return np.asarray(points - factor("", stratum).means(points)[stratum])


def _squares(sums: Points, squares: Points, counts: Codes) -> tuple[Points, Points]:
    """Return (b,) sums of squares among groups, and (b, groups) within each."""
    within = squares - (sums**2).sum(axis=2) / counts
    among = ((sums**2).sum(axis=2) / counts).sum(axis=1)
    # Zero where each stratum was centred, but for rounding.
    among -= (sums.sum(axis=1) ** 2).sum(axis=1) / counts.sum()
    return among, np.maximum(within, 0.0)


def _place_statistics(
    sums: Points, squares: Points, counts: Codes, n_strata: int
) -> tuple[Points, Points]:
    """Return pseudo-F and F2 by arrangement."""
    among, within = _squares(sums, squares, counts)
    n, n_groups = counts.sum(), len(counts)
    freedom = n - n_groups - n_strata + 1
    f = _ratio(among / (n_groups - 1), within.sum(axis=1) / freedom)
    # A group of one unit has no variance of its own: that of all groups stands in for it.
    pooled = within.sum(axis=1, keepdims=True) / (n - n_groups)
    variances = np.where(counts > 1, within / np.maximum(counts - 1, 1), pooled)
    return f, _ratio(among, ((1 - counts / n) * variances).sum(axis=1))


def _spread(points: Points, group: Codes) -> Points:
    """Return the F of an analysis of variance of distances to centres, of (b, n, d) points.

    Scaled by what a unit pulls its centre towards itself, so that small groups do not look tight.
    """
    n, counts = len(group), np.bincount(group)
    shares, scale = averaging(group)
    away = np.linalg.norm(points - (shares @ points)[:, group], axis=2)
    away *= scale
    means = away @ shares.T
    among = (counts * (means - away.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    within = ((away - means[:, group]) ** 2).sum(axis=1)
    return _ratio(among / (len(counts) - 1), within / (n - len(counts)))


def _ratio(above: Points, below: Points) -> Points:
    """Return above / below, inf where only below is zero and 0 where both are."""
    safe = np.where(below > 0, below, 1.0)
    return np.asarray(np.where(below > 0, above / safe, np.where(above > 1e-12, np.inf, 0.0)))


def _effect(points: Points, group: Codes, n_strata: int) -> dict[str, float]:
    """Return omega2 and eta2 of the observed groups."""
    counts = np.bincount(group)
    squares = (points**2).sum(axis=1)
    among, within = _squares(*sums_by_group(points, squares, group[None], len(counts)), counts)
    total = float(among[0] + within[0].sum())
    if total <= 0:
        return {"omega2": float("nan"), "eta2": float("nan")}
    freedom = len(points) - len(counts) - n_strata + 1
    mean_square = float(within[0].sum()) / freedom
    omega2 = (float(among[0]) - (len(counts) - 1) * mean_square) / (total + mean_square)
    return {"omega2": omega2, "eta2": float(among[0]) / total}
