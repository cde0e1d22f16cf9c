"""What must hold between the arrays of a shard or of a stage's part of a dataset.

Problems are (rule id, sentence); the rules are in `rules`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import Problem, ResultKind
from panic_hpc.store.results.rows import Counted, Sorted
from panic_hpc.store.results.section import Section

Shape = tuple[int, ...]


def name_problems(kind: ResultKind, arrays: Mapping[str, tuple[str, Shape]]) -> Iterator[Problem]:
    """Yield what is wrong with the names, dtypes and ranks of a shard's arrays."""
    for name in sorted(kind.required - arrays.keys()):
        yield "S01", f"{name} is missing"
    for name, (dtype, shape) in arrays.items():
        if name not in kind.by_name:
            yield "F05", f"{name} is not an array of stage {kind.stage}"
        else:
            yield from type_problems(kind.by_name[name], dtype, shape)


def type_problems(column: Column, dtype: str, shape: Shape) -> Iterator[Problem]:
    """Yield what is wrong with the dtype and rank of one array."""
    if np.dtype(dtype) != np.dtype(column.dtype):
        yield "S01", f"{column.name} has dtype {dtype}, not {column.dtype}"
    trailing = column.trailing
    if len(shape) != 1 + len(trailing) or (column.edges and shape[0] < 1):
        yield "S01", f"{column.name} has shape {shape}"
        return
    for want, size in zip(trailing, shape[1:], strict=True):
        if (size != want) if isinstance(want, int) else (size < 1):
            yield "S01", f"{column.name} has shape {shape}"


def row_problems(section: Section) -> Iterator[Problem]:
    """Yield where numbers of rows, offsets, row numbers, codes or steps contradict each other."""
    counts = {dimension: int(edges[-1]) for dimension, edges in section.edges.items()}
    wrong = list(_count_problems(section, counts))
    yield from wrong
    if not wrong:
        yield from _value_problems(section, counts)
        for check in section.kind.checks:
            yield from check(section)


def _count_problems(section: Section, counts: Mapping[str, int]) -> Iterator[Problem]:
    for count in section.kind.rows_per_run.values():
        if isinstance(count, Counted) and np.any(section.whole(count.column) < 0):
            yield "S02", f"{section.place(count.column)} has a negative number of rows"
    for column in section.columns():
        found, expected = section.rows(column.name), counts[column.rows] + column.edges
        if found != expected:
            rule = "S03" if column.name.endswith("/values") else "S02"
            yield rule, f"{section.place(column.name)} has {found} rows, not {expected}"


def _value_problems(section: Section, counts: Mapping[str, int]) -> Iterator[Problem]:
    for column in section.columns():
        name = section.place(column.name)
        if column.edges:
            yield from offset_problems(name, section.whole(column.name))
        elif column.index in counts:
            yield from index_problems(name, section.whole(column.name), counts[column.index])
        if column.codes and column.dtype == "|u1":
            yield from _code_problems(name, section.whole(column.name), column)
    for count in section.kind.rows_per_run.values():
        if isinstance(count, Sorted) and count.column in section:
            rows = section.whole(count.column)
            yield from ascent_problems(section.place(count.column), rows, count.strict)


def offset_problems(name: str, offsets: NDArray[Any]) -> Iterator[Problem]:
    """Yield what is wrong with a column of offsets in itself."""
    if offsets[0] != 0:
        yield "S03", f"{name} does not begin at 0"
    if np.any(np.diff(offsets) < 0):
        yield "S03", f"{name} descends"


def index_problems(name: str, rows: NDArray[Any], count: int, lowest: int = 0) -> Iterator[Problem]:
    """Yield whether row numbers point outside of a table of `count` rows."""
    if rows.size and (rows.min() < lowest or rows.max() >= count):
        yield "S04", f"{name} points outside of its table of {count} rows"


def ascent_problems(name: str, rows: NDArray[Any], strict: bool) -> Iterator[Problem]:
    """Yield whether row numbers are out of order, or where `strict` come twice."""
    if np.any(np.diff(rows) < strict):
        yield "S04", f"{name} is not in ascending order"


def _code_problems(name: str, values: NDArray[Any], column: Column) -> Iterator[Problem]:
    unknown = set(np.unique(values).tolist()) - set(column.codes.values())
    if unknown:
        yield "S06", f"{name} has unknown codes {sorted(unknown)}"
