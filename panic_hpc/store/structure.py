"""What must hold between the arrays of a shard, whatever the values mean."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.reader import ArrayFile
from panic_hpc.store.schema import Column, required_names, shard_columns
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

Shape = tuple[int, ...]


def name_problems(stage: str, arrays: "dict[str, tuple[str, Shape]]") -> Iterator[str]:
    """Yield what is wrong with the names, dtypes and ranks of a shard's arrays."""
    columns = shard_columns(stage)
    for name in sorted(required_names(stage) - arrays.keys()):
        yield f"{name} is missing"
    for name, (dtype, shape) in arrays.items():
        if name not in columns:
            yield f"{name} is not an array of stage {stage}"
        elif np.dtype(dtype) != np.dtype(columns[name].dtype):
            yield f"{name} has dtype {dtype}, not {columns[name].dtype}"
        elif not _fits(shape, columns[name]):
            yield f"{name} has shape {shape}"


def _fits(shape: Shape, column: Column) -> bool:
    trailing = column.trailing
    if len(shape) != 1 + len(trailing) or (column.edges and shape[0] < 1):
        return False
    return all(
        want == size if isinstance(want, int) else size > 0
        for want, size in zip(trailing, shape[1:], strict=True)
    )


def row_problems(file: ArrayFile, stage: str) -> Iterator[str]:
    """Yield where the number of rows, offsets or indices of a shard contradict each other."""
    counts = _dimension_sizes(file, stage)
    for name, column in shard_columns(stage).items():
        if name in file and column.rows in counts:
            expected = counts[column.rows] + column.edges
            if file.rows(name) != expected:
                yield f"{name} has {file.rows(name)} rows, not {expected}"
                return
    yield from _value_problems(file, stage, counts)


def _dimension_sizes(file: ArrayFile, stage: str) -> dict[str, int]:
    n_runs = file.rows("runs/index")
    counts = {"run": n_runs}
    if stage == EMBEDDINGS:
        counts["embedding"] = int(_whole(file, "runs/n_rows").sum())
    elif stage == DIAGRAMS:
        counts["diagram"] = n_runs * file.entry("diagrams/entropy").shape[1]
        counts["reason"] = n_runs
    else:
        counts["invocation"] = int(_whole(file, "runs/n_steps").sum())
        counts["failure"] = file.rows("failures/run")
        for column in shard_columns(RUNS).values():
            if column.index == "invocation" and column.name in file:
                counts[column.rows] = file.rows(column.name)
    for column in shard_columns(stage).values():
        if column.edges and column.name in file:
            counts[column.index] = int(file.slice(column.name, *_last_row(file, column.name))[0])
    return counts


def _last_row(file: ArrayFile, name: str) -> tuple[int, int]:
    rows = file.rows(name)
    return rows - 1, rows


def _whole(file: ArrayFile, name: str) -> NDArray[Any]:
    return file.slice(name, 0, file.rows(name))


def _value_problems(file: ArrayFile, stage: str, counts: dict[str, int]) -> Iterator[str]:
    for name, column in shard_columns(stage).items():
        if name not in file:
            continue
        if column.edges:
            yield from _offset_problems(name, _whole(file, name))
        elif column.index in counts:
            yield from _index_problems(name, _whole(file, name), counts[column.index])
        if column.codes and column.dtype == "|u1":
            yield from _code_problems(name, _whole(file, name), column)
    if stage == RUNS:
        yield from _step_problems(file)


def _offset_problems(name: str, offsets: NDArray[Any]) -> Iterator[str]:
    if offsets[0] != 0:
        yield f"{name} does not begin at 0"
    if np.any(np.diff(offsets) < 0):
        yield f"{name} descends"


def _index_problems(name: str, rows: NDArray[Any], count: int) -> Iterator[str]:
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        yield f"{name} points outside of its table of {count} rows"
    strict = not name.startswith("failures/")
    if np.any(np.diff(rows) < strict):
        yield f"{name} is not in ascending order"


def _code_problems(name: str, values: NDArray[Any], column: Column) -> Iterator[str]:
    unknown = set(np.unique(values).tolist()) - set(column.codes.values())
    if unknown:
        yield f"{name} has unknown codes {sorted(unknown)}"


def _step_problems(file: ArrayFile) -> Iterator[str]:
    n_steps = _whole(file, "runs/n_steps")
    steps = _whole(file, "invocations/step")
    first = np.repeat(np.cumsum(n_steps) - n_steps, n_steps)
    if np.any(steps != np.arange(len(steps)) - first):
        yield "invocations/step does not count 0, 1, 2, … within each run"
