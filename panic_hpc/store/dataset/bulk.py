"""Any kind of result of a dataset: a run's arrays, or whole columns as memory maps."""

import mmap
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError, nearest
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.references import require_whole
from panic_hpc.store.results.rows import Rows
from panic_hpc.store.results.section import Section

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset, Run


class Result:
    """What a dataset has of one stage and embedding model, whatever the stage.

    Arrays go by their names in the file below the group of the stage and model: `vector` for
    `embeddings/<model>/vector`. Those of runs lie in no such group: `runs/seed`, `texts/values`.

    Example:
        >>> with panic_hpc.open("dataset.h5") as dataset:
        ...     embeddings = dataset.result("embeddings", "MicroText")
        ...     vectors = embeddings.column("vector")     # all runs' (N, D), nothing read yet
        ...     edges = embeddings.edges("embedding")     # run r has rows edges[r] to edges[r + 1]
        ...     means = [vectors[a:b].mean(axis=0) for a, b in itertools.pairwise(edges)]
        ...     one = embeddings.of_run(7)                # {"n_rows": …, "step": …, "vector": …}
    """

    def __init__(self, dataset: "Dataset", section: Section) -> None:
        """Name the part of the dataset; nothing is read."""
        self.dataset = dataset
        self._section = section
        home = section.kind.home(section.model)
        self._columns = {
            section.place(column.name).removeprefix(home): column
            for column in section.columns()
            if section.place(column.name)
        }

    @property
    def columns(self) -> dict[str, Column]:
        """The arrays that are there, by name: dtype, dimension of the rows, unit, meaning."""
        return dict(self._columns)

    def column(self, name: str) -> NDArray[Any]:
        """Return a whole array, mapped into memory: read-only, read as it is touched.

        It outlives the dataset. Its checksums are not verified; `dataset.file.check` does that.
        """
        file, column = self._section.file, self._column(name)
        if file.refers_to(self._section.place(column.name)):
            require_whole(file)
        entry = self._section.entry(column.name)
        if entry.nbytes == 0:
            return np.empty(entry.shape, entry.dtype)
        # The system maps whole pages, and numpy reads from any byte of them.
        page = entry.offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        skipped = entry.offset - page
        pages = mmap.mmap(
            file.descriptor, skipped + entry.nbytes, access=mmap.ACCESS_READ, offset=page
        )
        return np.ndarray(entry.shape, entry.dtype, pages, skipped)

    def edges(self, dimension: str) -> Rows:
        """Return the rows of a dimension at which runs begin, and the end: (n_runs + 1,) int64."""
        if dimension not in self._section.edges:
            hint = f"There are {', '.join(self._section.edges)}"
            raise PanicError(f"{self._section} has no dimension {dimension!r}", hint=hint)
        return self._section.edges[dimension]

    @cached_property
    def has_run(self) -> NDArray[np.bool_]:
        """Whether each run's part is there: (n_runs,) bool; False where its shard was missing."""
        kind = self._section.kind
        (shard,) = (c for c in kind.added_columns(self._section.model) if c.index == "shard")
        present: NDArray[np.bool_] = self._section.file.whole(shard.name) >= 0
        return present

    def of_run(self, run: "Run") -> dict[str, NDArray[Any]]:
        """Return a run's rows of every array by name.

        Offsets begin at 0, and row numbers of its own tables count from the run's first row.
        PanicError where its shard was missing when the dataset was made.
        """
        row = self.dataset.row(run)
        if not self.has_run[row]:
            raise PanicError(f"Run {run} has no {self._section}: its shard was missing")
        return {name: self._rows(column, row) for name, column in self._columns.items()}

    def _rows(self, column: Column, run: int) -> NDArray[Any]:
        edges = self._section.edges
        first, last = edges[column.rows][run : run + 2].tolist()
        rows = self._section.slice(column.name, first, last + column.edges)
        if column.edges:
            return np.asarray(rows - rows[0])
        return rows - edges[column.index][run] if column.index in edges else rows

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            raise PanicError(f"{self._section} has no {name!r}", hint=nearest(name, self._columns))
        return self._columns[name]

    def __repr__(self) -> str:
        return f"<Result {self._section} of {self.dataset.path}: {', '.join(self._columns)}>"
