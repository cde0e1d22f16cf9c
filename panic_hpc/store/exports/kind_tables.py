"""Tables of every kind of result but runs, as the kinds declare them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.outputs import read_texts
from panic_hpc.store.exports.tables import (
    arrow_table,
    arrow_values,
    clean_text,
    repeated_runs,
    run_groups,
)
from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import IDENTITY, ExportTable, ResultKind
from panic_hpc.store.results.section import Section, dataset_sections

if TYPE_CHECKING:
    import pyarrow as pa


def kind_tables(dataset: Dataset) -> "dict[str, Iterator[pa.Table]]":
    """Return the tables of all kinds but runs, by name: one for all models of a kind."""
    found: dict[str, list[Section]] = {}
    exports: dict[str, ExportTable] = {}
    for section in dataset_sections(dataset.file):
        if not section.kind.defines_runs:
            for export in section.kind.exports or default_exports(section.kind):
                if exports.setdefault(export.name, export) != export:
                    raise PanicError(f"Two kinds of results have a table {export.name!r}")
                found.setdefault(export.name, []).append(section)
    return {name: _kind_table(dataset, own, exports[name]) for name, own in found.items()}


def default_exports(kind: ResultKind) -> list[ExportTable]:
    """Return a table for each dimension of a kind: its arrays of numbers and codes."""
    identity = {column.name for column in IDENTITY}
    tables: dict[str, list[str]] = {}
    for column in kind.columns:
        if not column.edges and not column.rows.endswith("_byte") and column.name not in identity:
            tables.setdefault(column.rows, []).append(column.name)
    return [
        ExportTable(kind.stage if rows == "run" else f"{kind.stage}_{rows}s", rows, tuple(names))
        for rows, names in tables.items()
    ]


def _kind_table(
    dataset: Dataset, found: list[Section], export: ExportTable
) -> "Iterator[pa.Table]":
    # Experiments of one dataset may have different homology dimensions: all parts have all columns.
    widths = {
        name: max(section.slice(name, 0, 0).shape[1] for section in found)
        for name, names in export.spread.items()
        if len(names) == 1
    }
    named = tuple(dict.fromkeys(name for one in found for name in _names(one, export)))
    for section in found:
        present = dataset.result(section.kind.stage, section.model).has_run
        for first, last in run_groups(section.edges[export.rows]):
            table = _stretch(section, export, widths, first, last, present[first:last])
            yield _with_names(table, section, export, named) if export.names else table


def _names(section: Section, export: ExportTable) -> tuple[str, ...]:
    return export.names(section) if export.names else ()


def _with_names(
    table: "pa.Table", section: Section, export: ExportTable, named: tuple[str, ...]
) -> "pa.Table":
    """Return a table whose numbered columns have the names of their places, all models' of them."""
    import pyarrow as pa

    own = _names(section, export)
    patterns = [names[0] for names in export.spread.values()]
    places = {name: pattern.format(n) for pattern in patterns for n, name in enumerate(own)}
    numbered = {pattern.format(n) for pattern in patterns for n in range(table.num_columns)}
    columns = {name: table[name] for name in table.column_names if name not in numbered}
    absent = pa.nulls(table.num_rows, pa.float64())
    columns |= {n: table[places[n]] if n in places else absent for n in named}
    return pa.table(columns)


def _stretch(
    section: Section,
    export: ExportTable,
    widths: Mapping[str, int],
    first: int,
    last: int,
    present: NDArray[np.bool_],
) -> "pa.Table":
    """Return the rows of runs `first` to `last`."""
    import pyarrow as pa

    edges = section.edges[export.rows]
    start, stop = int(edges[first]), int(edges[last])
    columns: dict[str, Any] = {"run": repeated_runs(edges, first, last)}
    units: dict[str, str] = {}
    if section.model:
        columns["model"] = pa.array([section.model] * (stop - start), pa.string())
    if export.place:
        columns[export.place] = _places(section, export.rows, first, last)
    for name in export.columns:
        column = section.kind.by_name[name]
        rows = section.slice(name, start, stop)
        own = _spread(column, rows, export.spread.get(name, ()), widths.get(name, 0))
        columns |= own
        units |= dict.fromkeys(own, column.unit)
    for name, group in export.texts.items():
        if section.kind.by_name[f"{group}/offsets"].rows == export.rows:
            columns[name] = _texts(section, group, start, stop)
        else:
            columns[name] = _run_texts(section, group, first, present)
    return arrow_table(columns, units)


def _places(section: Section, rows: str, first: int, last: int) -> NDArray[np.int8]:
    """Return for each row which of its run's items it lies in, as columns of offsets say."""
    (column,) = (c for c in section.kind.by_name.values() if c.edges and c.index == rows)
    of_run = section.edges[column.rows][first : last + 1]
    lengths = np.diff(section.slice(column.name, int(of_run[0]), int(of_run[-1]) + 1))
    places = np.arange(len(lengths)) - np.repeat(of_run[:-1] - of_run[0], np.diff(of_run))
    return np.repeat(places, lengths).astype(np.int8)


def _spread(
    column: Column, rows: NDArray[Any], names: tuple[str, ...], width: int
) -> dict[str, Any]:
    """Return the columns that an array becomes: itself, a list a row, or one for each place.

    Numbered ones are `width` many; those that the array does not have are null.
    """
    import pyarrow as pa

    short = column.name.partition("/")[2]
    if rows.ndim == 1:
        return {short: arrow_values(column, rows)}
    if names:
        if len(names) == 1:
            names = tuple(names[0].format(place) for place in range(width))
        absent = pa.nulls(len(rows), pa.from_numpy_dtype(rows.dtype))
        own = rows.shape[1]
        return {n: rows[:, place] if place < own else absent for place, n in enumerate(names)}
    values = pa.array(rows.reshape(-1))
    for size in reversed(rows.shape[1:]):
        n_lists = len(values) // size
        values = pa.LargeListArray.from_arrays(np.arange(n_lists + 1) * size, values)
    return {short: values}


def _texts(section: Section, group: str, start: int, stop: int) -> list[str]:
    """Return the texts of rows of a ragged group."""
    place = section.place(f"{group}/offsets").removesuffix("/offsets")
    return [clean_text(text) for text in read_texts(section.file, place, start, stop)]


def _run_texts(section: Section, group: str, first: int, present: NDArray[np.bool_]) -> list[str]:
    """Return the text that each of the runs from `first` on has in a ragged group."""
    texts = _texts(section, group, first, first + len(present))
    return [
        text or ("" if is_there else "its shard is missing")
        for text, is_there in zip(texts, present.tolist(), strict=True)
    ]
