"""Do groups of runs differ in place or in spread? Permutation of whole units within strata.

`place` is PERMANOVA (Anderson, Austral Ecology 26, 2001) with, beside its pseudo-F, the F2 of
Anderson, Walsh, Clarke, Gorley and Guerra-Castro ("Some solutions to the multivariate
Behrens-Fisher problem for dissimilarity-based analyses", Australian & New Zealand Journal of
Statistics 59, 2017), which is the one to read: pseudo-F rejects far too often, or never, where
small groups are the wide or the tight ones. `spread` is PERMDISP (Anderson, Biometrics 62, 2006).

The unit of replication is said by the caller and is what is counted and permuted: points of one
unit (steps of a run, runs of a cell) are averaged first, so that their number buys no certainty.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from panic_hpc.analysis.variance.factors import Codes, Points, compressed, factor, finite_rows
from panic_hpc.errors import AnalysisError

Statistic = Callable[[Points, Points, Codes, int], tuple[Points, ...]]
"""Of (b, groups, d) sums, (b, groups) sums of squares, (groups,) counts, and how many strata."""
BLOCK_ENTRIES = 2**22
"""Entries of the sums that are held at once, 32 MiB of float64."""


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """One test: `p` counts the observed arrangement, so that it is never 0."""

    name: str
    statistic: float
    p: float
    n_units: int
    """Independent units: what was permuted."""
    n_groups: int
    permutations: int
    smallest_p: float
    """What p is where no other arrangement is as extreme; bounded by how many there are."""
    seed: int


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
    placed = compressed(_centred_within(table[0][used], stratum))
    draws = _Arrangements(group, stratum, permutations, seed)
    f, f2 = draws.statistics(placed, _place_statistics)
    dispersion = np.concatenate([_spread(rows, group) for rows in draws.residuals(placed)])
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
    unit = factor("unit", np.arange(n) if units is None else units).codes[kept]
    unit = factor("unit", unit).codes
    labels = [
        factor("label", np.zeros(n) if label is None else label).codes[kept]
        for label in (groups, strata)
    ]
    first = np.unique(unit, return_index=True)[1]
    for label, word in zip(labels, ("groups", "strata"), strict=True):
        if np.any(label != label[first][unit]):
            raise AnalysisError(f"a unit lies in several {word}: it cannot be exchanged as a whole")
    sums = factor("unit", unit).indicator()
    counts = np.bincount(unit)[:, None]
    return np.asarray(sums @ rows) / counts, labels[0][first], labels[1][first]


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
    means = factor("", stratum).indicator() @ points / np.bincount(stratum)[:, None]
    return np.asarray(points - means[stratum])


class _Arrangements:
    """The observed groups and random ones, with the p-values that follow."""

    def __init__(self, group: Codes, stratum: Codes, permutations: int, seed: int) -> None:
        self.group, self.stratum, self.seed = group, stratum, seed
        self.permutations = permutations
        self.n_groups = int(group.max()) + 1

    def statistics(self, points: Points, statistic: Statistic) -> tuple[Points, ...]:
        """Return each statistic by arrangement, the observed one first."""
        squares = (points**2).sum(axis=1)
        counts = np.bincount(self.group)
        held = max(1, BLOCK_ENTRIES // (self.n_groups * points.shape[1] + len(points)))
        found = [
            statistic(*_sums(points, squares, labels, self.n_groups), counts, self._n_strata)
            for labels in self._blocks(held)
        ]
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    @property
    def _n_strata(self) -> int:
        return int(self.stratum.max()) + 1

    def residuals(self, points: Points) -> Iterator[Points]:
        """Yield the points, then their residuals moved among groups within strata.

        Residuals, and their distances measured from new centres each time: distances themselves
        are not exchangeable, since those of a small group depend on each other.
        """
        yield points[None]
        n, counts = len(points), np.bincount(self.group)
        shares = np.eye(self.n_groups)[:, self.group] / counts[:, None]
        scale = np.sqrt(counts / np.maximum(counts - 1, 1))[self.group][:, None]
        left = (points - (shares @ points)[self.group]) * scale
        rng = np.random.default_rng(self.seed)
        by_stratum = np.argsort(self.stratum, kind="stable")
        held = max(1, BLOCK_ENTRIES // points.size)
        for start in range(0, self.permutations, held):
            count = min(held, self.permutations - start)
            order = np.argsort(self.stratum + rng.random((count, n)), axis=1)
            moved = np.empty((count, *left.shape))
            moved[:, by_stratum] = left[order]
            yield moved

    def _blocks(self, held: int) -> Iterator[Codes]:
        """Yield (b, n) labels of units."""
        rng = np.random.default_rng(self.seed)
        yield self.group[None]
        by_stratum = np.argsort(self.stratum, kind="stable")
        for start in range(0, self.permutations, held):
            count = min(held, self.permutations - start)
            shuffled = np.argsort(self.stratum + rng.random((count, len(self.group))), axis=1)
            labels = np.empty_like(shuffled)
            np.put_along_axis(labels, shuffled, self.group[by_stratum][None], axis=1)
            yield labels

    def test(self, name: str, values: Points) -> PermutationTest:
        """Return the test of the first value against all."""
        # Equal arrangements differ by rounding.
        extreme = int((values[1:] >= values[0] * (1 - 1e-9) - 1e-12).sum())
        return PermutationTest(
            name=name,
            statistic=float(values[0]),
            p=(1 + extreme) / (1 + self.permutations),
            n_units=len(self.group),
            n_groups=self.n_groups,
            permutations=self.permutations,
            smallest_p=max(1 / (1 + self.permutations), self._smallest_share()),
            seed=self.seed,
        )

    def _smallest_share(self) -> float:
        """Return one over the number of arrangements that differ."""
        table = np.zeros((self._n_strata, self.n_groups))
        np.add.at(table, (self.stratum, self.group), 1)
        logs = sum(lgamma(n + 1) for n in table.sum(axis=1)) - sum(
            lgamma(n + 1) for n in table.ravel()
        )
        return float(np.exp(-logs))


def _sums(points: Points, squares: Points, labels: Codes, n_groups: int) -> tuple[Points, Points]:
    """Return (b, groups, d) sums of points and (b, groups) of their squared lengths."""
    b, n = labels.shape
    rows = (labels + n_groups * np.arange(b)[:, None]).ravel()
    columns = np.tile(np.arange(n), b)
    picks = sparse.csr_matrix((np.ones(b * n), (rows, columns)), shape=(b * n_groups, n))
    return (
        np.asarray(picks @ points).reshape(b, n_groups, -1),
        np.asarray(picks @ squares).reshape(b, n_groups),
    )


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

    A unit pulls its centre towards itself, the more the smaller the group: scaled back, so that
    small groups do not look tight.
    """
    n, counts = len(group), np.bincount(group)
    shares = np.eye(len(counts))[:, group] / counts[:, None]
    away = np.linalg.norm(points - (shares @ points)[:, group], axis=2)
    away *= np.sqrt(counts / np.maximum(counts - 1, 1))[group]
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
    among, within = _squares(*_sums(points, squares, group[None], len(counts)), counts)
    total = float(among[0] + within[0].sum())
    if total <= 0:
        return {"omega2": float("nan"), "eta2": float("nan")}
    freedom = len(points) - len(counts) - n_strata + 1
    mean_square = float(within[0].sum()) / freedom
    omega2 = (float(among[0]) - (len(counts) - 1) * mean_square) / (total + mean_square)
    return {"omega2": omega2, "eta2": float(among[0]) / total}
