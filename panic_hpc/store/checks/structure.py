"""What must hold between the arrays of a shard or of a stage's part of a dataset.

Problems are (rule id, sentence); the rules are in `rules`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.format.digest import Rename, same_name
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.schema import Column, required_names, shard_columns
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

Shape = tuple[int, ...]
Problem = tuple[str, str]


def name_problems(stage: str, arrays: Mapping[str, tuple[str, Shape]]) -> Iterator[Problem]:
    """Yield what is wrong with the names, dtypes and ranks of a shard's arrays."""
    columns = shard_columns(stage)
    for name in sorted(required_names(stage) - arrays.keys()):
        yield "S01", f"{name} is missing"
    for name, (dtype, shape) in arrays.items():
        if name not in columns:
            yield "F05", f"{name} is not an array of stage {stage}"
        else:
            yield from type_problems(columns[name], dtype, shape)


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


def row_problems(file: ArrayFile, stage: str, rename: Rename = same_name) -> Iterator[Problem]:
    """Yield where numbers of rows, offsets, row numbers, steps or codes contradict each other."""
    counts = _dimension_sizes(file, stage, rename)
    wrong = list(_count_problems(file, stage, rename, counts))
    yield from wrong
    if not wrong:
        yield from _value_problems(file, stage, rename, counts)


def _columns(file: ArrayFile, stage: str, rename: Rename) -> Iterator[tuple[str, Column]]:
    for name, column in shard_columns(stage).items():
        if rename(name) in file:
            yield rename(name), column


def _count_problems(
    file: ArrayFile, stage: str, rename: Rename, counts: Mapping[str, int]
) -> Iterator[Problem]:
    for name, column in _columns(file, stage, rename):
        expected = counts[column.rows] + column.edges
        if file.rows(name) != expected:
            rule = "S03" if column.name.endswith("/values") else "S02"
            yield rule, f"{name} has {file.rows(name)} rows, not {expected}"


def _dimension_sizes(file: ArrayFile, stage: str, rename: Rename) -> dict[str, int]:
    n_runs = file.rows(rename("runs/digest"))
    counts = {"run": n_runs}
    if stage == EMBEDDINGS:
        counts["embedding"] = int(_whole(file, rename("runs/n_rows")).sum())
    elif stage == DIAGRAMS:
        counts["diagram"] = n_runs * file.entry(rename("diagrams/entropy")).shape[1]
        counts["reason"] = n_runs
    else:
        counts["invocation"] = int(_whole(file, rename("runs/n_steps")).sum())
        counts["failure"] = file.rows(rename("failures/run"))
        for name, column in _columns(file, stage, rename):
            if column.index == "invocation":
                counts[column.rows] = file.rows(name)
    for name, column in _columns(file, stage, rename):
        if column.edges:
            rows = file.rows(name)
            counts[column.index] = int(file.slice(name, rows - 1, rows)[0])
    return counts


def _whole(file: ArrayFile, name: str) -> NDArray[Any]:
    return file.slice(name, 0, file.rows(name))


def _value_problems(
    file: ArrayFile, stage: str, rename: Rename, counts: Mapping[str, int]
) -> Iterator[Problem]:
    for name, column in _columns(file, stage, rename):
        if column.edges:
            yield from offset_problems(name, _whole(file, name))
        elif column.index in counts:
            strict = not column.name.startswith("failures/")
            yield from ascent_problems(name, _whole(file, name), strict)
            yield from index_problems(name, _whole(file, name), counts[column.index])
        if column.codes and column.dtype == "|u1":
            yield from _code_problems(name, _whole(file, name), column)
    if stage == RUNS:
        yield from _step_problems(file)
    elif stage == EMBEDDINGS:
        yield from _embedding_step_problems(file, rename)


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


def _step_problems(file: ArrayFile) -> Iterator[Problem]:
    n_steps = _whole(file, "runs/n_steps")
    steps = _whole(file, "invocations/step")
    first = np.repeat(np.cumsum(n_steps) - n_steps, n_steps)
    if np.any(steps != np.arange(len(steps)) - first):
        yield "S05", "invocations/step does not count 0, 1, 2, … within each run"


def _embedding_step_problems(file: ArrayFile, rename: Rename) -> Iterator[Problem]:
    n_rows = _whole(file, rename("runs/n_rows"))
    steps = _whole(file, rename("embeddings/step"))
    run = np.repeat(np.arange(len(n_rows)), n_rows)
    same_run = run[1:] == run[:-1]
    if np.any((np.diff(steps) <= 0) & same_run) or np.any(steps < -1):
        yield "S05", f"{rename('embeddings/step')} does not ascend from -1 within each run"
