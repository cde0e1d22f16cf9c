"""Tables of runs and invocations, in stretches of runs, and what all exported tables share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.frames import network_names
from panic_hpc.store.dataset.outputs import outputs_between
from panic_hpc.store.format.column import Column
from panic_hpc.store.results.runs import INVOCATION_COLUMNS, RUN_COLUMNS
from panic_hpc.types import TEXT

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 100_000


def arrow_table(columns: dict[str, Any], units: dict[str, str]) -> "pa.Table":
    """Return a table whose fields say their units."""
    import pyarrow as pa

    arrays = {name: pa.array(values) for name, values in columns.items()}
    fields = [
        pa.field(name, array.type, metadata={"units": units[name]} if units.get(name) else None)
        for name, array in arrays.items()
    ]
    return pa.table(list(arrays.values()), schema=pa.schema(fields))


def _units(columns: tuple[Column, ...]) -> dict[str, str]:
    return {column.name.partition("/")[2]: column.unit for column in columns}


def arrow_values(column: Column, values: NDArray[Any]) -> Any:
    """Return values for Parquet: codes by their words, byte strings as text."""
    import pyarrow as pa

    if values.dtype.kind == "S":
        return values.astype(f"U{values.dtype.itemsize}")
    if column.codes and column.dtype == "|u1":
        # All codes that a byte can have: those of a newer minor version become null.
        words = np.full(256, None, dtype=object)
        words[list(column.codes.values())] = list(column.codes)
        return pa.array(words[values], pa.string())
    return values


def run_groups(edges: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield stretches of runs that have about GROUP_ROWS rows together; at least one stretch."""
    n_runs = len(edges) - 1
    first = 0
    while True:
        last = int(np.searchsorted(edges, edges[first] + GROUP_ROWS, side="right")) - 1
        last = min(max(last, first + 1), n_runs)
        yield first, last
        if last >= n_runs:
            return
        first = last


def run_tables(dataset: Dataset) -> "Iterator[pa.Table]":
    """Yield the table of runs: their columns, and the names of networks and prompts in words."""
    names, prompts = network_names(dataset), dataset.prompt_texts()
    for first, last in run_groups(np.arange(dataset.n_runs + 1)):
        rows = np.arange(first, last)
        columns: dict[str, Any] = {"run": rows}
        for column in RUN_COLUMNS:
            values = dataset.file.slice(column.name, first, last)
            columns[column.name.partition("/")[2]] = arrow_values(column, values)
        columns["network_name"] = [names[row] for row in columns["network"].tolist()]
        columns["prompt_text"] = [clean_text(prompts[row]) for row in columns["prompt"].tolist()]
        yield arrow_table(columns, _units(RUN_COLUMNS))


def invocation_tables(dataset: Dataset) -> "Iterator[pa.Table]":
    """Yield the table of invocations: their columns, models by name, and texts that were made."""
    edges = dataset.file.slice("runs/offsets", 0, dataset.n_runs + 1)
    models = np.array([model["name"] for model in dataset.metadata["models"]], dtype=object)
    for first, last in run_groups(edges):
        start, stop = int(edges[first]), int(edges[last])
        columns: dict[str, Any] = {"run": repeated_runs(edges, first, last)}
        for column in INVOCATION_COLUMNS:
            values = dataset.file.slice(column.name, start, stop)
            columns[column.name.partition("/")[2]] = arrow_values(column, values)
        columns["model"] = models[columns["model"]]
        columns["text"] = _texts(dataset, start, stop)
        yield arrow_table(columns, _units(INVOCATION_COLUMNS))


def repeated_runs(edges: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    """Return the run of each row of runs `first` to `last`."""
    return np.repeat(np.arange(first, last), np.diff(edges[first : last + 1]))


def _texts(dataset: Dataset, start: int, stop: int) -> Any:
    import pyarrow as pa

    texts: list[str | None] = [None] * (stop - start)
    for row, text in outputs_between(dataset.file, TEXT, start, stop):
        texts[row - start] = clean_text(text.decode("utf-8", "surrogatepass"))
    return pa.array(texts, pa.string())


def clean_text(text: str) -> str:
    """Return text that Parquet can hold: lone surrogates become U+FFFD."""
    # Through UTF-16, which joins pairs of surrogates into their character; only lone ones are
    # lost.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
