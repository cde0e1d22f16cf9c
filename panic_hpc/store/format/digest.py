"""Run digests: SHA-256 over a run's scientific columns, the same wherever the run lies in a file.

For every scientific column in the order of the schema a line `name dtype shape` is hashed, then
the bytes of the run's rows. Offsets enter as lengths, invocation rows relative to the run's first.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import byte_view
from panic_hpc.keys import KEY_HEX
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.schema import DIAGRAM_STATUS, INCOMPLETE, Column, shard_columns
from panic_hpc.types import DIAGRAMS, EMBEDDINGS

# So many runs share one read of a column; a read a run would be a system call for few bytes.
GROUP_RUNS = 256
# Vectors of 256 runs of 10,000 steps would be gigabytes; those are hashed in pieces instead.
PRELOAD_BYTES = 16 * 2**20
Edges = Mapping[str, NDArray[np.int64]]
Rename = Callable[[str], str]


def same_name(name: str) -> str:
    """Name arrays as a shard does."""
    return name


def running_sum(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return (n + 1,) edges of rows with these counts a run."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def run_edges(file: ArrayFile, stage: str, rename: Rename = same_name) -> Edges:
    """Return, for every dimension of a stage, the (n_runs + 1) rows where runs begin and end."""

    def whole(name: str) -> NDArray[Any]:
        return file.slice(rename(name), 0, file.rows(rename(name)))

    runs = np.arange(file.rows(rename("runs/digest")) + 1, dtype=np.int64)
    edges: dict[str, NDArray[np.int64]] = {"run": runs}
    if stage == EMBEDDINGS:
        edges["embedding"] = running_sum(whole("runs/n_rows"))
    elif stage == DIAGRAMS:
        edges["reason"] = runs
        edges["diagram"] = runs * file.entry(rename("diagrams/entropy")).shape[1]
    else:
        edges["invocation"] = running_sum(whole("runs/n_steps"))
        # Failures ascend by run (rule S04), and most runs have none.
        edges["failure"] = np.searchsorted(whole("failures/run"), runs)
    for column in shard_columns(stage).values():
        if rename(column.name) in file:
            if column.index == "invocation":
                edges[column.rows] = np.searchsorted(whole(column.name), edges["invocation"])
            elif column.edges:
                edges[column.index] = whole(column.name)[edges[column.rows]]
    return edges


def incomplete_rows(file: ArrayFile, rename: Rename = same_name) -> list[int]:
    """Return the runs of a diagrams shard, or of a model's part of a dataset, that are incomplete.

    These were stopped by time or memory, which differ between machines.
    """
    name = rename("runs/status")
    status = file.slice(name, 0, file.rows(name))
    found: list[int] = np.flatnonzero(status == DIAGRAM_STATUS[INCOMPLETE]).tolist()
    return found


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows of one column for a group of runs from `first_run` on.

    `edges` are where runs begin and end in the file. `content` is what is hashed of all of them,
    None where that is too much to read at once.
    """

    column: Column
    entry: ArrayEntry
    first_run: int
    edges: list[int]
    content: memoryview | None
    heads: dict[int, bytes] = field(default_factory=dict)

    def feed(self, hasher: Any, file: ArrayFile, name: str, run: int) -> None:
        start, stop = self.edges[run - self.first_run : run - self.first_run + 2]
        # Kept by number of rows: runs of one experiment mostly have equally many.
        hasher.update(self.heads.get(stop - start) or self._head(stop - start))
        if self.content is None:
            for piece in file.pieces(name, start, stop):
                hasher.update(piece)
        else:
            size, first = self.entry.row_bytes, self.edges[0]
            hasher.update(self.content[(start - first) * size : (stop - first) * size])

    def _head(self, n_rows: int) -> bytes:
        shape = (n_rows, *self.entry.shape[1:])
        head = f"{self.column.name} {self.entry.dtype} {shape}\n".encode()
        self.heads[n_rows] = head
        return head


def run_digests(
    file: ArrayFile,
    stage: str,
    rename: Rename = same_name,
    is_wanted: Callable[[int], bool] = lambda run: True,
    rows: range | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield (row, digest) of each wanted run of `file`, computed from its bytes, in order.

    The digest of an incomplete diagram is "": the same run may give more bars on another machine.
    `rows` are consecutive; None means all.
    """
    edges = run_edges(file, stage, rename)
    incomplete = set(incomplete_rows(file, rename)) if stage == DIAGRAMS else set()
    columns = [c for c in shard_columns(stage).values() if c.scientific and rename(c.name) in file]
    rows = range(len(edges["run"]) - 1) if rows is None else rows
    for first in rows[::GROUP_RUNS]:
        last = min(first + GROUP_RUNS, rows.stop)
        windows = [
            (rename(column.name), _window(file, column, edges, (first, last), rename))
            for column in columns
        ]
        for run in filter(is_wanted, range(first, last)):
            if run in incomplete:
                yield run, ""
                continue
            hasher = hashlib.sha256()
            for name, window in windows:
                window.feed(hasher, file, name, run)
            yield run, hasher.hexdigest()


def _window(
    file: ArrayFile, column: Column, edges: Edges, runs: tuple[int, int], rename: Rename
) -> _Window:
    entry = file.entry(rename(column.name))
    own = edges[column.rows][runs[0] : runs[1] + 1]
    # Offsets and row numbers are rebased, which needs them whole; they are small beside what they
    # point to.
    few = (own[-1] - own[0]) * entry.row_bytes <= PRELOAD_BYTES or column.index != ""
    content = None
    if few:
        rows = file.slice(rename(column.name), int(own[0]), int(own[-1]) + column.edges)
        base = edges[column.index][runs[0] : runs[1]] if column.index else own[:0]
        content = byte_view(_where_runs_begin_at_0(column, rows, own, base))
    return _Window(column, entry, runs[0], own.tolist(), content)


def _where_runs_begin_at_0(
    column: Column, rows: NDArray[Any], own: NDArray[Any], base: NDArray[Any]
) -> NDArray[Any]:
    """Return offsets as lengths, row numbers relative to where their run begins, else `rows`."""
    if column.edges:
        return np.diff(rows)
    if column.index:
        relative: NDArray[Any] = rows - np.repeat(base, np.diff(own))
        return relative
    return rows


def run_lines(keys: NDArray[Any], digests: Mapping[str, NDArray[Any]]) -> Iterator[bytes]:
    """Yield a run's line: its key, then `label:digest` for each label in order that it has.

    Labels are `runs`, `embeddings:<model key>` and `diagrams:<model key>`; an empty digest means
    that the part is missing.
    """
    columns = [(label.encode(), digests[label].tolist()) for label in sorted(digests)]
    for row, key in enumerate(keys.tolist()):
        parts = [label + b":" + values[row] for label, values in columns if values[row]]
        yield b" ".join([key, *parts])


def content_key(lines: Iterable[bytes]) -> str:
    """Return the content key of runs from a line each: the hash of their sorted hashes."""
    hasher = hashlib.sha256()
    # Sorted: neither the order of runs nor the layout of shards has a part in the key.
    for digest in sorted(hashlib.sha256(line).digest() for line in lines):
        hasher.update(digest)
    return hasher.hexdigest()[:KEY_HEX]
