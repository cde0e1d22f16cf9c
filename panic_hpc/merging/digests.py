"""Comparing sources with their runs' digests: which runs, in stretches that ranks share out.

What is large is copied by the kernel and hashed once, as the target gives it back; runs are hashed
side by side, those of several shards where one has few.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panic_hpc.disk.copying import copy_range
from panic_hpc.disk.sha256 import Message, Part, Span
from panic_hpc.errors import ShardError
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import Table
from panic_hpc.merging.run_sources import MISSING, Source
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.digest import digested, run_digests, run_messages
from panic_hpc.store.format.reader import OpenArrays
from panic_hpc.store.results.base import DIGEST
from panic_hpc.store.results.section import Section

STRETCH_BYTES = 64 * 2**20
# Below, one read for 256 runs costs less than one a run, and copying besides is cheap.
IN_FLIGHT_BYTES = 2**20
# As many messages as AVX-512 registers have numbers.
SIDE_BY_SIDE = 16


@dataclass(frozen=True, slots=True)
class RunRange:
    """Rows `first` to `last` of the runs of a part's source, with `nbytes` in all."""

    table: int
    part: int
    first: int
    last: int
    nbytes: int


def in_flight(table: Table, part: int, sources: Sequence[Source]) -> dict[str, Column]:
    """Return the columns of a part that are copied while its digests are computed, by name.

    Of whole sources, whose block checksums are carried over, and only where every run is digested.
    """
    number, n_runs = table.parts[part].source, table.parts[part].n_runs
    if number == MISSING or n_runs != sources[number].n_runs or b"" in sources[number].digests:
        return {}
    return {
        name: column
        for name, column in table.moved.items()
        if column.scientific
        and name in sources[number].entries
        and not (column.index or column.edges or name == DIGEST.name)
        and table.part_bytes(part, name) >= IN_FLIGHT_BYTES
    }


def stretches(tables: Sequence[Table]) -> Iterator[RunRange]:
    """Yield all runs that come from sources, in stretches of about STRETCH_BYTES."""
    for number, table in enumerate(tables):
        # By dimension the bytes of a row of all its arrays.
        sizes: Counter[str] = Counter()
        for name, column in table.columns.items():
            sizes[column.rows] += table.row_bytes(name)
        for place, part in enumerate(table.parts):
            if part.source != MISSING:
                nbytes = sum(table.n_rows(rows, place) * size for rows, size in sizes.items())
                for rows, share in _cut(part.first_row, part.n_runs, nbytes):
                    yield RunRange(number, place, rows.start, rows.stop, share)


def _cut(first_row: int, n_runs: int, nbytes: int) -> Iterator[tuple[range, int]]:
    n = min(n_runs, nbytes // STRETCH_BYTES + 1)
    edges = [first_row + n_runs * number // n for number in range(n + 1)]
    for number in range(n):
        share = nbytes * (number + 1) // n - nbytes * number // n
        yield range(edges[number], edges[number + 1]), share


@dataclass(frozen=True, slots=True)
class Compared:
    """A stretch to compare, its source, and where in the target its arrays in flight begin."""

    source: Source
    stretch: RunRange
    places: Mapping[str, int]


def groups(every: Iterable[RunRange], limit_bytes: int) -> Iterator[list[RunRange]]:
    """Yield stretches together until there are enough runs to be hashed side by side."""
    group: list[RunRange] = []
    for one in every:
        if group and sum(other.nbytes for other in group) + one.nbytes > limit_bytes:
            yield group
            group = []
        group.append(one)
        if sum(other.last - other.first for other in group) >= SIDE_BY_SIDE:
            yield group
            group = []
    if group:
        yield group


class CopiedArrays(OpenArrays):
    """Arrays of which those in `places` are hashed where they were copied to.

    `places` are the bytes of the file `target` at which these arrays begin.
    """

    def __init__(self, file: OpenArrays, target: OpenArrays, places: Mapping[str, int]) -> None:
        super().__init__(file.path, file.descriptor, file.entries)
        self.target, self.places = target, places

    def copy(self, name: str, start: int, stop: int) -> None:
        """Copy rows `start` to `stop` of an array to their place."""
        entry = self.entry(name)
        done, nbytes = start * entry.row_bytes, (stop - start) * entry.row_bytes
        copy_range(
            self.descriptor,
            entry.offset + done,
            self.target.descriptor,
            self.places[name] + done,
            nbytes,
            str(self.path),
        )

    def part(self, name: str, start: int, stop: int) -> Part:
        """Return the bytes of rows, those of arrays in `places` as the target gives them back."""
        if name not in self.places:
            return super().part(name, start, stop)
        size = self.entry(name).row_bytes
        place = self.places[name] + start * size
        return Span(self.target.descriptor, place, (stop - start) * size, str(self.target.path))


def compare(work: Sequence[Compared], target: OpenArrays) -> int:
    """Compute the digests of runs from their bytes; returns these, ShardError where one differs.

    Covers every scientific column of the runs. Arrays in `places` are copied first, and hashed as
    the target gives them back, so that one digest vouches for the shard and for the copy. A source
    with runs that have no digest (incomplete diagrams) is compared with the checksums of its blocks
    besides.
    """
    with ExitStack() as files:
        runs = (run for one in work for run in _messages(one, target, files))
        for (one, row), digest in digested(runs):
            if digest.encode() != one.source.digests[row]:
                raise _wrong(one.source, row, target.path)
    return sum(one.stretch.nbytes for one in work)


def _messages(
    one: Compared, target: OpenArrays, files: ExitStack
) -> Iterator[tuple[tuple[Compared, int], Message | None]]:
    """Yield what the digests of a stretch are computed of, once what is in flight is copied."""
    source, rows = one.source, range(one.stretch.first, one.stretch.last)
    file = files.enter_context(opened(source))
    # An incomplete diagram has no digest, so its bytes have nothing else to be compared with.
    if b"" in source.digests[rows.start : rows.stop]:
        for name in file.entries:
            file.check(name)
    arrays = CopiedArrays(file, target, one.places)
    section = Section(arrays, source.kind)
    _require_covered(section, one.places)
    for name in one.places:
        edges = section.edges[section.kind.by_name[name].rows]
        arrays.copy(name, int(edges[rows.start]), int(edges[rows.stop]))
    for row, message in run_messages(section, rows=rows, in_place=one.places):
        yield (one, row), message


def _require_covered(section: Section, places: Mapping[str, int]) -> None:
    """Raise ShardError where an array has bytes that are no run's: these would not be copied."""
    for name in places:
        edges = section.edges[section.kind.by_name[name].rows]
        if edges[0] != 0 or edges[-1] != section.rows(name) or np.any(np.diff(edges) < 0):
            raise ShardError(
                f"{section.file.path} is damaged: its runs do not take up {name}",
                hint="Remove it and submit the experiment again",
            )


def _wrong(source: Source, row: int, target: Path) -> ShardError:
    """Return what is wrong with a run: its shard's bytes, its digest, or what was copied."""
    key = source.run_keys[row].decode("ascii", "replace")
    said = f"run {key} does not have its digest"
    with opened(source) as file:
        for name in file.entries:
            try:
                file.check(name)
            except ShardError:
                said = f"wrong bytes in {name}"
                break
        else:
            runs = run_digests(Section(file, source.kind), lambda run: run == row)
            if source.digests[row].decode("ascii", "replace") in dict(runs).values():
                return ShardError(f"{target} did not keep what was copied from {source.path}")
    return ShardError(
        f"{source.path} is damaged: {said}", hint="Remove it and submit the experiment again"
    )
