"""Run digests: SHA-256 over a run's scientific columns, the same wherever the run lies in a file.

For every scientific column in the order of the schema a line `name dtype shape` is hashed, then
the bytes of the run's rows. Offsets enter as lengths, invocation rows relative to the run's first.
"""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import byte_view
from panic_hpc.disk.sha256 import Message, Part, sha256_each
from panic_hpc.keys import KEY_HEX
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.results.section import Section

# So many runs share one read of a column; a read a run would be a system call for few bytes.
GROUP_RUNS = 256
# Vectors of 256 runs of 10,000 steps would be gigabytes; those are hashed in pieces instead.
PRELOAD_BYTES = 16 * 2**20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows of one column for a group of runs from `first_run` on.

    `edges` are where runs begin and end in the file. `content` is what is hashed of all of them,
    None where that is too much to read at once, or is not to be.
    """

    column: Column
    entry: ArrayEntry
    first_run: int
    edges: list[int]
    content: memoryview | None
    heads: dict[int, bytes] = field(default_factory=dict)

    def parts(self, section: Section, run: int) -> tuple[Part, Part]:
        start, stop = self.edges[run - self.first_run : run - self.first_run + 2]
        # Kept by number of rows: runs of one experiment mostly have equally many.
        head = self.heads.get(stop - start) or self._head(stop - start)
        if self.content is None:
            return head, section.file.part(section.place(self.column.name), start, stop)
        size, first = self.entry.row_bytes, self.edges[0]
        return head, self.content[(start - first) * size : (stop - first) * size]

    def _head(self, n_rows: int) -> bytes:
        shape = (n_rows, *self.entry.shape[1:])
        head = f"{self.column.name} {self.entry.dtype} {shape}\n".encode()
        self.heads[n_rows] = head
        return head


def run_digests(
    section: Section, is_wanted: Callable[[int], bool] = lambda run: True
) -> Iterator[tuple[int, str]]:
    """Yield (row, digest) of each wanted run, computed from its bytes, in order.

    The digest of a run that time or memory stopped is "": the same run may give more on another
    machine.
    """
    return digested(run_messages(section, is_wanted))


def run_messages(
    section: Section,
    is_wanted: Callable[[int], bool] = lambda run: True,
    rows: range | None = None,
    in_place: Container[str] = (),
) -> Iterator[tuple[int, Message | None]]:
    """Yield (row, what its digest is computed of) of each wanted run; None for one without digest.

    `rows` are consecutive; None means all. Arrays in `in_place` are not read but named by
    `ArrayFile.part`, as is what would take too much memory.
    """
    undigested = set(section.undigested())
    columns = [column for column in section.columns() if column.scientific]
    rows = range(section.n_runs) if rows is None else rows
    for first in rows[::GROUP_RUNS]:
        last = min(first + GROUP_RUNS, rows.stop)
        windows = [
            _window(section, column, (first, last), column.name in in_place) for column in columns
        ]
        for run in filter(is_wanted, range(first, last)):
            if run in undigested:
                yield run, None
            else:
                yield run, [part for window in windows for part in window.parts(section, run)]


def digested(runs: Iterable[tuple[T, Message | None]]) -> Iterator[tuple[T, str]]:
    """Yield each run with the digest of its message, "" where it has none; side by side."""
    rest = iter(runs)
    while some := list(islice(rest, GROUP_RUNS)):
        digests = sha256_each([message for _, message in some if message is not None])
        for run, message in some:
            yield run, "" if message is None else next(digests)


def _window(section: Section, column: Column, runs: tuple[int, int], in_place: bool) -> _Window:
    entry = section.entry(column.name)
    # (n_runs of the group + 1,) rows of the column where its runs begin and end.
    own = section.edges[column.rows][runs[0] : runs[1] + 1]
    # Offsets and row numbers are rebased, which needs them whole; they are small beside what they
    # point to.
    few = (own[-1] - own[0]) * entry.row_bytes <= PRELOAD_BYTES or column.index != ""
    content = None
    if few and not in_place:
        rows = section.slice(column.name, int(own[0]), int(own[-1]) + column.edges)
        content = byte_view(where_runs_begin_at_0(section, column, rows, runs))
    return _Window(column, entry, runs[0], own.tolist(), content)


def where_runs_begin_at_0(
    section: Section, column: Column, rows: NDArray[Any], runs: tuple[int, int]
) -> NDArray[Any]:
    """Return rows of runs `runs[0]` to `runs[1]` so that they say nothing of other runs.

    Offsets become lengths; row numbers are counted from where what they point to begins in their
    run.
    """
    if column.edges:
        return np.diff(rows)
    if column.index in section.edges:
        own = section.edges[column.rows][runs[0] : runs[1] + 1]
        base = section.edges[column.index][runs[0] : runs[1]]
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


def dataset_content_key(lines: Iterable[bytes]) -> str:
    """Return the content key of runs from a line each: the hash of their sorted hashes."""
    hasher = hashlib.sha256()
    # Sorted: neither the order of runs nor the layout of shards has a part in the key.
    for digest in sorted(hashlib.sha256(line).digest() for line in lines):
        hasher.update(digest)
    return hasher.hexdigest()[:KEY_HEX]
