"""Comparing sources with their runs' digests: which runs, in stretches that ranks share out.

What is large is copied in flight: a piece is read once, written, read back and hashed while it is
in the processor's cache.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from panic_hpc.disk.copying import copy_compared
from panic_hpc.errors import ShardError
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import Table
from panic_hpc.merging.run_sources import MISSING, Source
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.digest import run_digests
from panic_hpc.store.format.reader import OpenArrays
from panic_hpc.store.results.base import DIGEST
from panic_hpc.store.results.section import Section

STRETCH_BYTES = 64 * 2**20
# Below, one read for 256 runs costs less than one a run, and copying besides is cheap.
IN_FLIGHT_BYTES = 2**20


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
        sizes = sum(
            table.counts(column.rows) * table.row_bytes(name)
            for name, column in table.columns.items()
        )
        for place, nbytes in enumerate(np.asarray(sizes).tolist()):
            part = table.parts[place]
            if part.source != MISSING:
                for rows, share in _cut(part.first_row, part.n_runs, nbytes):
                    yield RunRange(number, place, rows.start, rows.stop, share)


def _cut(first_row: int, n_runs: int, nbytes: int) -> Iterator[tuple[range, int]]:
    n = min(n_runs, nbytes // STRETCH_BYTES + 1)
    edges = [first_row + n_runs * number // n for number in range(n + 1)]
    for number in range(n):
        share = nbytes * (number + 1) // n - nbytes * number // n
        yield range(edges[number], edges[number + 1]), share


class CopyingArrays(OpenArrays):
    """Arrays of which those in `places` are copied as their pieces are read.

    `places` are the bytes of the file `target` at which these arrays begin.
    """

    def __init__(self, file: OpenArrays, target: int, places: Mapping[str, int]) -> None:
        super().__init__(file.path, file.descriptor, file.entries)
        self.target, self.places = target, places

    def pieces(self, name: str, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes of rows `start` to `stop` in pieces, each copied and read back."""
        if name not in self.places:
            yield from super().pieces(name, start, stop)
            return
        entry = self.entry(name)
        done, nbytes = start * entry.row_bytes, (stop - start) * entry.row_bytes
        yield from copy_compared(
            self.descriptor,
            entry.offset + done,
            self.target,
            self.places[name] + done,
            nbytes,
            str(self.path),
        )


def compare(source: Source, stretch: RunRange, target: int, places: Mapping[str, int]) -> int:
    """Compute the digests of a stretch from its bytes; returns these, ShardError where one differs.

    Covers every scientific column of the runs, and copies the arrays in `places` meanwhile. A
    source with runs that have no digest (incomplete diagrams) is compared with the checksums of its
    blocks besides.
    """
    rows = range(stretch.first, stretch.last)
    with opened(source) as file:
        # An incomplete diagram has no digest, so its bytes have nothing else to be compared with.
        if b"" in source.digests[stretch.first : stretch.last]:
            for name in file.entries:
                file.check(name)
        section = Section(CopyingArrays(file, target, places), source.kind)
        _require_covered(section, places)
        for row, digest in run_digests(section, rows=rows, in_pieces=places):
            if digest.encode() != source.digests[row]:
                raise ShardError(
                    f"{source.path} is damaged: {_wrong(source, file, row)}",
                    hint="Remove it and submit the experiment again",
                )
    return stretch.nbytes


def _require_covered(section: Section, places: Mapping[str, int]) -> None:
    """Raise ShardError where an array has bytes that are no run's: these would not be copied."""
    for name in places:
        edges = section.edges[section.kind.by_name[name].rows]
        if edges[0] != 0 or edges[-1] != section.rows(name) or np.any(np.diff(edges) < 0):
            raise ShardError(
                f"{section.file.path} is damaged: its runs do not take up {name}",
                hint="Remove it and submit the experiment again",
            )


def _wrong(source: Source, file: OpenArrays, row: int) -> str:
    """Return what is wrong with a run: an array's bytes, or if these are whole the digest."""
    for name in file.entries:
        try:
            file.check(name)
        except ShardError:
            return f"wrong bytes in {name}"
    key = source.run_keys[row].decode("ascii", "replace")
    return f"run {key} does not have its digest"
