"""Random arrangements of units among groups within strata, and the p-values that follow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import lgamma

import numpy as np
from scipy import sparse

from panic_hpc.analysis.estimators.variance.factors import Codes, Points

Statistic = Callable[[Points, Points, Codes, int], tuple[Points, ...]]
"""Of (b, groups, d) sums, (b, groups) sums of squares, (groups,) counts, and how many strata."""
ENTRIES_AT_ONCE = 2**22
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


class Arrangements:
    """The observed groups of units and random ones.

    group, stratum   (n,) codes of the units from 0; units are exchanged within strata
    permutations     random arrangements beside the observed one
    """

    def __init__(self, group: Codes, stratum: Codes, permutations: int, seed: int) -> None:
        self.group, self.stratum, self.seed = group, stratum, seed
        self.permutations = permutations
        self.n_groups = int(group.max()) + 1

    def statistics(self, points: Points, statistic: Statistic) -> tuple[Points, ...]:
        """Return each statistic by arrangement, the observed one first."""
        squares = (points**2).sum(axis=1)
        counts = np.bincount(self.group)
        held = max(1, ENTRIES_AT_ONCE // (self.n_groups * points.shape[1] + len(points)))
        found = [
            statistic(
                *sums_by_group(points, squares, labels, self.n_groups), counts, self._n_strata
            )
            for labels in self.batches(held)
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
        shares, scale = averaging(self.group)
        left = (points - (shares @ points)[self.group]) * scale[:, None]
        by_stratum = np.argsort(self.stratum, kind="stable")
        for order in self._orders(max(1, ENTRIES_AT_ONCE // points.size)):
            moved = np.empty((len(order), *left.shape))
            moved[:, by_stratum] = left[order]
            yield moved

    def batches(self, held: int) -> Iterator[Codes]:
        """Yield (b, n) labels of units."""
        yield self.group[None]
        by_stratum = np.argsort(self.stratum, kind="stable")
        for order in self._orders(held):
            labels = np.empty_like(order)
            np.put_along_axis(labels, order, self.group[by_stratum][None], axis=1)
            yield labels

    def _orders(self, held: int) -> Iterator[Codes]:
        """Yield (b, n) random orders of the units, stratum after stratum."""
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.permutations, held):
            count = min(held, self.permutations - start)
            yield np.argsort(self.stratum + rng.random((count, len(self.stratum))), axis=1)

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


def averaging(group: Codes) -> tuple[Points, Points]:
    """Return (groups, n) shares of units in their group's mean, and (n,) factors of residuals.

    A unit pulls its group's mean towards itself, the more the smaller the group: the factors scale
    that back.
    """
    counts = np.bincount(group)
    shares = np.eye(len(counts))[:, group] / counts[:, None]
    return shares, np.sqrt(counts / np.maximum(counts - 1, 1))[group]


def sums_by_group(
    points: Points, squares: Points, labels: Codes, n_groups: int
) -> tuple[Points, Points]:
    """Return (b, groups, d) sums of points and (b, groups) of their squared lengths."""
    b, n = labels.shape
    rows = (labels + n_groups * np.arange(b)[:, None]).ravel()
    columns = np.tile(np.arange(n), b)
    picks = sparse.csr_matrix((np.ones(b * n), (rows, columns)), shape=(b * n_groups, n))
    return (
        np.asarray(picks @ points).reshape(b, n_groups, -1),
        np.asarray(picks @ squares).reshape(b, n_groups),
    )
