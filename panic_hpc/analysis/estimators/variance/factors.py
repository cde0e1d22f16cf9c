"""Labels of runs as integer codes: the factors of a design, crossed and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from panic_hpc.errors import AnalysisError

Codes = NDArray[np.int64]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Factor:
    """A label of every run: `codes` (n,) int64 into `levels`."""

    name: str
    codes: Codes
    levels: tuple[object, ...]

    @property
    def n_levels(self) -> int:
        """How many levels occur."""
        return len(self.levels)

    def indicator(self) -> sparse.csr_matrix:
        """Return the (levels, n) matrix of which run has which level."""
        n = len(self.codes)
        return sparse.csr_matrix((np.ones(n), (self.codes, np.arange(n))), shape=(self.n_levels, n))

    def means(self, values: Points) -> Points:
        """Return the mean of each level, (levels,) of (n,) values or (levels, d) of (n, d)."""
        counts = np.bincount(self.codes)
        sums = np.asarray(self.indicator() @ values)
        return np.asarray(sums / counts.reshape(-1, *[1] * (sums.ndim - 1)))


def factor(name: str, labels: ArrayLike) -> Factor:
    """Return the labels of runs, of any one type that sorts, as a factor."""
    levels, codes = np.unique(np.asarray(labels), return_inverse=True)
    return Factor(name, codes.reshape(-1).astype(np.int64), tuple(levels.tolist()))


def cross(name: str, factors: Sequence[Factor]) -> Factor:
    """Return the combinations of levels that occur, as one factor."""
    table = np.stack([part.codes for part in factors])
    levels, codes = np.unique(table, axis=1, return_inverse=True)
    names = [
        tuple(part.levels[code] for part, code in zip(factors, column, strict=True))
        for column in levels.T
    ]
    return Factor(name, codes.reshape(-1).astype(np.int64), tuple(names))


def crossed(labels: Mapping[str, ArrayLike], terms: Sequence[str]) -> list[Factor]:
    """Return a factor a term; "a:b" is the combination of the labels a and b.

    Raises AnalysisError where a term names a label that is not given.
    """
    missing = {part for term in terms for part in term.split(":")} - set(labels)
    if missing:
        raise AnalysisError(f"there is no label {', '.join(sorted(missing))} among {list(labels)}")
    return [
        cross(term, [factor(part, labels[part]) for part in term.split(":")])
        if ":" in term
        else factor(term, labels[term])
        for term in terms
    ]


def finite_rows(points: ArrayLike) -> tuple[Points, NDArray[np.bool_]]:
    """Return (n, d) float64 points without rows that are not finite, and which rows were kept.

    A vector (n,) is taken as (n, 1). Raises AnalysisError where nothing is left.
    """
    table = np.asarray(points, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    kept = np.asarray(np.isfinite(table).all(axis=1))
    if not kept.any():
        raise AnalysisError("no run has finite values")
    return table[kept], kept
