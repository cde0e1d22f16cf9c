"""Comparing sources with their runs' digests: which runs, in stretches that ranks share out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from panic_hpc.errors import ShardError
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import Table
from panic_hpc.merging.run_sources import MISSING, Source
from panic_hpc.store.format.digest import run_digests
from panic_hpc.store.format.reader import OpenArrays
from panic_hpc.store.results.section import Section

STRETCH_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class RunRange:
    """Rows `first` to `last` of the runs of source `source`, with `nbytes` in all."""

    source: int
    first: int
    last: int
    nbytes: int


def stretches(tables: Sequence[Table]) -> Iterator[RunRange]:
    """Yield all runs that come from sources, in stretches of about STRETCH_BYTES."""
    for table in tables:
        row_bytes = {
            name: prod(table.trailing[name]) * np.dtype(column.dtype).itemsize
            for name, column in table.columns.items()
        }
        sizes = sum(table.counts(c.rows) * row_bytes[name] for name, c in table.columns.items())
        for part, nbytes in zip(table.parts, np.asarray(sizes).tolist(), strict=True):
            if part.source != MISSING:
                yield from _cut(part.source, part.first_row, part.n_runs, nbytes)


def _cut(source: int, first_row: int, n_runs: int, nbytes: int) -> Iterator[RunRange]:
    n = min(n_runs, nbytes // STRETCH_BYTES + 1)
    edges = [first_row + n_runs * number // n for number in range(n + 1)]
    for number in range(n):
        share = nbytes * (number + 1) // n - nbytes * number // n
        yield RunRange(source, edges[number], edges[number + 1], share)


def compare(source: Source, stretch: RunRange) -> int:
    """Compute the digests of a stretch from its bytes; returns these, ShardError where one differs.

    Covers every scientific column of the runs. A source with runs that have no digest (incomplete
    diagrams) is compared with the checksums of its blocks besides.
    """
    rows = range(stretch.first, stretch.last)
    with opened(source) as file:
        # An incomplete diagram has no digest, so its bytes have nothing else to be compared with.
        if b"" in source.digests[stretch.first : stretch.last]:
            for name in file.entries:
                file.check(name)
        for row, digest in run_digests(Section(file, source.kind), rows=rows):
            if digest.encode() != source.digests[row]:
                raise ShardError(
                    f"{source.path} is damaged: {_wrong(source, file, row)}",
                    hint="Remove it and submit the experiment again",
                )
    return stretch.nbytes


def _wrong(source: Source, file: OpenArrays, row: int) -> str:
    """Return what is wrong with a run: an array's bytes, or if these are whole the digest."""
    for name in file.entries:
        try:
            file.check(name)
        except ShardError:
            return f"wrong bytes in {name}"
    key = source.run_keys[row].decode("ascii", "replace")
    return f"run {key} does not have its digest"
