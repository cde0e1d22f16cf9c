"""A dataset's tables as Parquet files: the store's door to pyarrow."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.files import fsync_directory, temporary_beside
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.errors import PanicError
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.frames import network_names
from panic_hpc.store.dataset.outputs import outputs_between
from panic_hpc.store.format.digest import running_sum
from panic_hpc.store.format.schema import DIAGRAM_COLUMNS, INVOCATION_COLUMNS, RUN_COLUMNS, Column
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, TEXT

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 100_000
_DIAGRAM_RUN_COLUMNS = ("status", "points", "distinct_points", "complete_dimensions", "seconds")


def export_parquet(dataset: Dataset, directory: Path, *, force: bool = False) -> list[Path]:
    """Write runs, invocations, embeddings, diagrams and diagram_runs; return the files.

    Units and the content key travel in the files' metadata. PanicError where pyarrow is missing,
    or a file is there already and `force` is not given.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise PanicError(
            "Parquet needs pyarrow", hint="pip install 'panic-hpc[analysis]'"
        ) from error
    tables = {
        "runs": _runs(dataset),
        "invocations": _invocations(dataset),
        "embeddings": _embeddings(dataset),
        "diagrams": _bars(dataset),
        "diagram_runs": _diagram_runs(dataset),
    }
    places = {name: directory / f"{name}.parquet" for name in tables}
    # All before the first is written: five files of one dataset, or none. Other files may be there.
    admit_directory(directory, [dataset.path], force=True)
    for path in places.values():
        admit(path, [dataset.path], force=force)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, batches in tables.items():
        # At most one turn, for _write takes the rest; without embeddings or diagrams there is no
        # file.
        for first in batches:
            _write(places[name], first, batches, dataset.content_key)
            paths.append(places[name])
    return paths


def _write(path: Path, first: "pa.Table", rest: "Iterator[pa.Table]", key: str) -> None:
    """Write a first table and all that follow it as one file."""
    import pyarrow.parquet as pq

    temporary = temporary_beside(path)
    schema = first.schema.with_metadata({"panic_hpc_content_key": key})
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for table in chain((first,), rest):
                writer.write_table(table.cast(schema))
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        fsync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _table(columns: dict[str, Any], units: dict[str, str]) -> "pa.Table":
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


def _values(column: Column, values: NDArray[Any]) -> Any:
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


def _run_groups(edges: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
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


def _runs(dataset: Dataset) -> "Iterator[pa.Table]":
    names, prompts = network_names(dataset), dataset.prompt_texts()
    for first, last in _run_groups(np.arange(dataset.n_runs + 1)):
        rows = np.arange(first, last)
        columns: dict[str, Any] = {"run": rows}
        for column in RUN_COLUMNS:
            values = dataset.file.slice(column.name, first, last)
            columns[column.name.partition("/")[2]] = _values(column, values)
        columns["network_name"] = [names[row] for row in columns["network"].tolist()]
        columns["prompt_text"] = [_clean(prompts[row]) for row in columns["prompt"].tolist()]
        yield _table(columns, _units(RUN_COLUMNS))


def _invocations(dataset: Dataset) -> "Iterator[pa.Table]":
    edges = dataset.file.slice("runs/offsets", 0, dataset.n_runs + 1)
    models = np.array([model["name"] for model in dataset.metadata["models"]], dtype=object)
    for first, last in _run_groups(edges):
        start, stop = int(edges[first]), int(edges[last])
        columns: dict[str, Any] = {"run": _repeated(edges, first, last)}
        for column in INVOCATION_COLUMNS:
            values = dataset.file.slice(column.name, start, stop)
            columns[column.name.partition("/")[2]] = _values(column, values)
        columns["model"] = models[columns["model"]]
        columns["text"] = _texts(dataset, start, stop)
        yield _table(columns, _units(INVOCATION_COLUMNS))


def _repeated(edges: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    return np.repeat(np.arange(first, last), np.diff(edges[first : last + 1]))


def _texts(dataset: Dataset, start: int, stop: int) -> Any:
    import pyarrow as pa

    texts: list[str | None] = [None] * (stop - start)
    for row, text in outputs_between(dataset.file, TEXT, start, stop):
        texts[row - start] = _clean(text.decode("utf-8", "surrogatepass"))
    return pa.array(texts, pa.string())


def _clean(text: str) -> str:
    """Return text that Parquet can hold: lone surrogates become U+FFFD."""
    # Through UTF-16, which joins pairs of surrogates into their character; only lone ones are
    # lost.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _embeddings(dataset: Dataset) -> "Iterator[pa.Table]":
    import pyarrow as pa

    for model in dataset.models_of(EMBEDDINGS):
        group = f"{EMBEDDINGS}/{model}"
        edges = dataset.file.slice(f"{group}/offsets", 0, dataset.n_runs + 1)
        for first, last in _run_groups(edges):
            start, stop = int(edges[first]), int(edges[last])
            vectors = dataset.file.slice(f"{group}/vector", start, stop)
            columns = {
                "run": _repeated(edges, first, last),
                "model": pa.array([model] * (stop - start), pa.string()),
                "step": dataset.file.slice(f"{group}/step", start, stop),
                "flags": dataset.file.slice(f"{group}/flags", start, stop),
                "vector": pa.LargeListArray.from_arrays(
                    np.arange(stop - start + 1) * vectors.shape[1], vectors.reshape(-1)
                ),
            }
            yield _table(columns, {})


def _bars(dataset: Dataset) -> "Iterator[pa.Table]":
    import pyarrow as pa

    for model in dataset.models_of(DIAGRAMS):
        group = f"{DIAGRAMS}/{model}"
        dimensions = dataset.file.entry(f"{group}/entropy").shape[1]
        offsets = dataset.file.slice(f"{group}/offsets", 0, dataset.n_runs * dimensions + 1)
        for first, last in _run_groups(offsets[::dimensions]):
            own = offsets[first * dimensions : last * dimensions + 1]
            bars = dataset.file.slice(f"{group}/bars", int(own[0]), int(own[-1]))
            diagram = np.repeat(np.arange(len(own) - 1), np.diff(own))
            columns = {
                "run": first + diagram // dimensions,
                "model": pa.array([model] * len(bars), pa.string()),
                "dimension": (diagram % dimensions).astype(np.int8),
                "birth": bars[:, 0],
                "death": bars[:, 1],
            }
            yield _table(columns, {"birth": "distance", "death": "distance"})


def _diagram_runs(dataset: Dataset) -> "Iterator[pa.Table]":
    import pyarrow as pa

    own = {c.name.partition("/")[2]: c for c in DIAGRAM_COLUMNS if c.group == "runs"}
    for model in dataset.models_of(DIAGRAMS):
        group = f"{DIAGRAMS}/{model}"
        for first, last in _run_groups(running_sum(np.ones(dataset.n_runs))):
            columns: dict[str, Any] = {"run": np.arange(first, last)}
            columns["model"] = pa.array([model] * (last - first), pa.string())
            for name in _DIAGRAM_RUN_COLUMNS:
                values = dataset.file.slice(f"{group}/{name}", first, last)
                columns[name] = _values(own[name], values)
            entropy = dataset.file.slice(f"{group}/entropy", first, last)
            for dimension in range(entropy.shape[1]):
                columns[f"entropy_{dimension}"] = entropy[:, dimension]
            columns["reason"] = [dataset.reason(row, model) for row in range(first, last)]
            yield _table(columns, {"seconds": "s"})
