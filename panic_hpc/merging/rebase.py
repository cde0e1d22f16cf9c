"""Values that cannot be copied as they are: offsets and row numbers follow what they point to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.merging.layout import Table, Unit
from panic_hpc.merging.run_sources import MISSING, Source
from panic_hpc.merging.unify import Unified
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.reader import ArrayFile


@dataclass(frozen=True, slots=True)
class Rebase:
    """What is needed to compute a unit's values: the tables, and where experiments' rows went."""

    tables: Sequence[Table]
    sources: Sequence[Source]
    unified: Unified

    def values(self, unit: Unit, file: ArrayFile | None, checked: bool) -> NDArray[Any]:
        """Return the values of a unit that is not a copy; `file` is its source, None: missing."""
        table = self.tables[unit.table]
        column = table.columns[unit.shard_name]
        is_last = unit.part == len(table.parts) - 1
        if file is None or unit.shard_name not in file.entries:
            return self._filled(table, column, unit, is_last)
        if checked:
            file.check(unit.shard_name)
        start, stop = table.span(column.rows, unit.part)
        rows = file.slice(unit.shard_name, start, stop + (column.edges and is_last))
        if column.index in table.starts:
            return self._shifted(table, column, unit.part, rows)
        if column.index:
            return self._looked_up(table, column, unit.part, rows, file)
        return rows

    def _shifted(self, table: Table, column: Column, part: int, rows: NDArray[Any]) -> NDArray[Any]:
        """Move row numbers from the source's table to the dataset's."""
        first, _ = table.span(column.index, part)
        shifted: NDArray[Any] = rows - first + table.starts[column.index][part]
        return shifted

    def _looked_up(
        self, table: Table, column: Column, part: int, rows: NDArray[Any], file: ArrayFile
    ) -> NDArray[Any]:
        """Translate an experiment's numbers of networks, prompts and models."""
        experiment = self.sources[table.parts[part].source].experiment
        if column.index == "network":
            return np.asarray(self.unified.network_rows[experiment][rows], column.dtype)
        if column.index == "prompt":
            return np.asarray(self.unified.prompt_rows[experiment][rows], column.dtype)
        start, stop = table.span("run", part)
        networks = file.slice("runs/network", start, stop)
        n_rows = file.slice(table.kind.rows_per_run[column.rows].column, start, stop)
        by_network = self.unified.model_rows[experiment]
        # In a shard a model is a place in its run's network, so the same number means several
        # models.
        result = np.empty(len(rows), column.dtype)
        of_row = np.repeat(networks, n_rows)
        for network in np.unique(networks).tolist():
            mine = of_row == network
            result[mine] = by_network[network][rows[mine]]
        return result

    def _filled(self, table: Table, column: Column, unit: Unit, is_last: bool) -> NDArray[Any]:
        rows = table.n_rows(column.rows, unit.part) + (column.edges and is_last)
        shape = (rows, *table.trailing[unit.shard_name])
        if column.edges:
            # Missing runs are empty: all of their offsets are where the next present one begins.
            return np.full(shape, table.starts[column.index][unit.part], column.dtype)
        nothing = np.nan if np.dtype(column.dtype).kind == "f" else np.zeros((), column.dtype)
        fill = table.kind.fill.get(unit.shard_name, nothing)
        return np.full(shape, fill, column.dtype)


def is_missing(table: Table, unit: Unit) -> bool:
    """Whether no source has the runs of a unit."""
    return table.parts[unit.part].source == MISSING
