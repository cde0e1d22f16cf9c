"""How many rows a run has in each dimension of its stage's arrays, and where they begin and end.

Edges are (n_runs + 1,) int64: run r has the rows from edges[r] to edges[r + 1]. In a file that
contradicts itself they are nonsense but no error, and their last one is how many rows there should
be: what checks compare with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.format.ragged import offsets_of

if TYPE_CHECKING:
    from panic_hpc.store.results.section import Section

Rows = NDArray[np.int64]
Edges = Mapping[str, Rows]


class RowCount(Protocol):
    """How the rows of one dimension are dealt out to runs; told by `column` of the shard."""

    @property
    def column(self) -> str:
        """The array that says so, "" where none does."""

    def edges(self, section: "Section", known: Edges) -> Rows:
        """Return the edges; `known` are those of dimensions that were declared before."""

    def of_missing(self, trailing: Mapping[str, tuple[int, ...]]) -> int:
        """Return the rows of a run that no shard has; `trailing` are arrays' axes but the first."""


@dataclass(frozen=True, slots=True)
class Counted:
    """As many rows as `column` says, which has a row a run; none where the run is missing."""

    column: str

    def edges(self, section: "Section", known: Edges) -> Rows:
        """Return the running sum of the column."""
        return offsets_of(section.whole(self.column))

    def of_missing(self, trailing: Mapping[str, tuple[int, ...]]) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows that name by number, ascending in `column`, what they belong to (the column's `index`).

    `strict`: at most one row belongs to each.
    """

    column: str
    strict: bool = True

    def edges(self, section: "Section", known: Edges) -> Rows:
        """Return where the numbers of each run's first row would be put."""
        numbers = section.whole(self.column)
        found = np.searchsorted(numbers, known[section.kind.by_name[self.column].index])
        # Also where a number is too large: then that is told, and not that rows are too many.
        found[-1] = len(numbers)
        return found

    def of_missing(self, trailing: Mapping[str, tuple[int, ...]]) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True, slots=True)
class Times:
    """The same number of rows for each run, missing ones included: axis `axis` of `column`."""

    column: str
    axis: int = 1

    def edges(self, section: "Section", known: Edges) -> Rows:
        """Return multiples of the axis' size."""
        return known["run"] * section.entry(self.column).shape[self.axis]

    def of_missing(self, trailing: Mapping[str, tuple[int, ...]]) -> int:
        """Return the axis' size."""
        return trailing[self.column][self.axis - 1]


@dataclass(frozen=True, slots=True)
class Once:
    """One row for each run, missing ones included."""

    column: str = ""

    def edges(self, section: "Section", known: Edges) -> Rows:
        """Return the edges of runs themselves."""
        return known["run"]

    def of_missing(self, trailing: Mapping[str, tuple[int, ...]]) -> int:
        """Return 1."""
        return 1


ONE = Once()


def run_edges(section: "Section") -> Edges:
    """Return, for every dimension of a section, the rows where its runs begin and end.

    1. Runs are rows themselves. 2. Declared dimensions follow, each from those before it.
    3. What columns of offsets cut up follows from the rows that they have.
    """
    edges: dict[str, Rows] = {"run": np.arange(section.n_runs + 1, dtype=np.int64)}
    for dimension, count in section.kind.rows_per_run.items():
        if not count.column or count.column in section:
            edges[dimension] = count.edges(section, edges)
    for column in section.columns():
        if column.edges:
            offsets = section.whole(column.name)
            # clip and not an error: these are read before they are checked.
            found = np.take(offsets, edges[column.rows], mode="clip")
            found[-1] = offsets[-1]
            edges[column.index] = found
    return edges


def ascending_problems(section: "Section", name: str, least: int) -> Iterator[tuple[str, str]]:
    """Yield the problem where steps do not ascend within each run, from `least` on."""
    n_rows = section.whole("runs/n_rows")
    steps = section.whole(name)
    run = np.repeat(np.arange(len(n_rows)), n_rows)
    same_run = run[1:] == run[:-1]
    if np.any((np.diff(steps) <= 0) & same_run) or np.any(steps < least):
        yield "S05", f"{section.place(name)} does not ascend from {least} within each run"
