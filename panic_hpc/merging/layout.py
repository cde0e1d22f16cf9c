"""Where every byte of a dataset comes from and goes to: a pure function of what the shards hold."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import BLOCK_BYTES, block_spans, n_blocks
from panic_hpc.errors import PanicError
from panic_hpc.merging.run_sources import MISSING, Part, Source
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.packed_entries import shape_of
from panic_hpc.store.results.base import DIGEST, ResultKind, kind_of

Rows = NDArray[np.int64]
# What opening a source and the calls for a block of it take as long as.
CALL_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Table:
    """One stage (and embedding model) of the dataset, part by part.

    By dimension: `starts` (n_parts + 1,) is the row of the dataset at which each part begins, and
    the end, `firsts` (n_parts,) the row of its source, none where all are 0, as of whole shards.
    `columns` and `trailing` (sizes of the axes after the first) go by names in a shard. `stays`
    names columns whose bytes are left where they are.
    """

    stage: str
    model: str
    parts: Sequence[Part]
    firsts: Mapping[str, Rows]
    starts: Mapping[str, Rows]
    columns: Mapping[str, Column]
    trailing: Mapping[str, tuple[int, ...]]
    stays: tuple[str, ...] = ()

    @property
    def moved(self) -> Mapping[str, Column]:
        """The columns that come into the dataset."""
        return {name: one for name, one in self.columns.items() if name not in self.stays}

    @property
    def kind(self) -> ResultKind:
        """What the stage's files hold."""
        return kind_of(self.stage)

    def n_rows(self, dimension: str, part: int) -> int:
        """Return the number of rows that a part has."""
        starts = self.starts[dimension]
        return int(starts[part + 1]) - int(starts[part])

    def span(self, dimension: str, part: int) -> tuple[int, int]:
        """Return the first row of its source that a part takes, and the one after the last."""
        first = int(self.firsts[dimension][part]) if dimension in self.firsts else 0
        return first, first + self.n_rows(dimension, part)

    def part_bytes(self, part: int, shard_name: str) -> int:
        """Return the bytes that a part has of one of its arrays, by its name in a shard."""
        column = self.columns[shard_name]
        # Offsets have one row more than what they cut up, and the last part writes it.
        further = column.edges and part == len(self.parts) - 1
        return (self.n_rows(column.rows, part) + further) * self.row_bytes(shard_name)

    def row_bytes(self, shard_name: str) -> int:
        """Return the bytes of a row of one of its arrays, by its name in a shard."""
        return _row_bytes(self.columns[shard_name].dtype, self.trailing[shard_name])

    def shape(self, shard_name: str) -> tuple[int, ...]:
        """Return the shape in the dataset of one of its arrays, by its name in a shard."""
        column = self.columns[shard_name]
        rows = int(self.starts[column.rows][-1]) + column.edges
        return (rows, *self.trailing[shard_name])


@lru_cache
def _row_bytes(dtype: str, trailing: tuple[int, ...]) -> int:
    return prod(trailing) * np.dtype(dtype).itemsize


def make_table(
    stage: str,
    model: str,
    parts: Sequence[Part],
    sources: Sequence[Source],
    edges_of: Callable[[Source], Mapping[str, Rows]],
    *,
    refer: bool = False,
) -> Table:
    """Return the table of a stage; `edges_of` reads a source that is taken only in part.

    Goes through the sources once, in order of the parts. With `refer` what may stay in the shards
    stays there.
    """
    kind = kind_of(stage)
    columns = dict(kind.dataset_columns(model))
    dimensions = dict.fromkeys(column.rows for column in columns.values())
    firsts: dict[str, Rows] = defaultdict(lambda: np.zeros(len(parts), np.int64))
    starts = {dimension: np.zeros(len(parts) + 1, np.int64) for dimension in dimensions}
    holders: dict[str, _Holder] = {}
    missing: list[int] = []
    for place, part in enumerate(parts):
        if part.source == MISSING:
            missing.append(place)
            continue
        source = sources[part.source]
        spans = _whole_spans(source, columns, holders)
        if part.n_runs != source.n_runs:
            # The common case needs the header only; a part needs columns of the shard to be read.
            begin, end = part.first_row, part.first_row + part.n_runs
            spans = {name: (int(e[begin]), int(e[end])) for name, e in edges_of(source).items()}
        for dimension in dimensions & spans.keys():
            first, last = spans[dimension]
            starts[dimension][place + 1] = last - first
            if first:
                firsts[dimension][place] = first
    trailing = {name: holders[name].trailing for name in columns if name in holders}
    for place in missing:
        for dimension, rows in _missing_rows(kind, parts[place], trailing).items():
            if dimension in dimensions:
                starts[dimension][place + 1] = rows
    for counts in starts.values():
        np.cumsum(counts, out=counts)
    present = {name: column for name, column in columns.items() if name in holders}
    stays = kind.may_stay if refer else ()
    return Table(stage, model, parts, dict(firsts), starts, present, trailing, stays)


@dataclass(frozen=True, slots=True)
class _Holder:
    """The first file that has an array, and the sizes of that one's axes after the first."""

    path: str
    trailing: tuple[int, ...]


def _whole_spans(
    source: Source, columns: Mapping[str, Column], holders: dict[str, _Holder]
) -> dict[str, tuple[int, int]]:
    """Return the rows of a source by dimension; PanicError where they have another shape."""
    spans: dict[str, tuple[int, int]] = {}
    for name, column in columns.items():
        if name not in source.entries:
            continue
        rows, *axes = shape_of(source.entries, name)
        first = holders.setdefault(name, _Holder(source.path, tuple(axes)))
        if first.trailing != tuple(axes):
            raise PanicError(
                f"{name} has rows of another shape in {source.path} than in {first.path}",
                hint="Experiments with different settings of homology go into different datasets",
            )
        spans[column.rows] = (0, rows - column.edges)
    return spans


def _missing_rows(
    kind: ResultKind, part: Part, trailing: Mapping[str, tuple[int, ...]]
) -> dict[str, int]:
    counts = kind.rows_per_run.items()
    fixed = {name: part.n_runs * count.of_missing(trailing) for name, count in counts}
    return {"run": part.n_runs, **fixed}


@dataclass(frozen=True, slots=True)
class Unit:
    """Bytes to put into the dataset: at `start` of array `name`, from rows `span` of a source.

    `block` is the first row of the checksums table that speaks of them. A unit that copies bytes
    has `sha256`, the checksum of its one block, where the source knows it.
    """

    table: int
    part: int
    shard_name: str
    name: str
    start: int
    nbytes: int
    block: int
    copy_from: int = -1
    sha256: str = ""

    @property
    def is_copy(self) -> bool:
        """Whether the bytes are taken as they are, from `copy_from` of the source's file."""
        return self.copy_from >= 0


@dataclass(frozen=True, slots=True)
class ArrayPlan:
    """One array: its shape, and the rows of the checksums table that it has."""

    dtype: str
    shape: tuple[int, ...]
    blocks: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Size of the array in bytes."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def plan_arrays(tables: Sequence[Table]) -> dict[str, ArrayPlan]:
    """Return every array that comes from shards, by its name in the dataset."""
    plans: dict[str, ArrayPlan] = {}
    row = 0
    for table in tables:
        for shard_name, column in table.moved.items():
            row_bytes = table.row_bytes(shard_name)
            nbytes = np.diff(table.starts[column.rows]) * row_bytes
            if column.edges:
                nbytes[-1] += row_bytes
            # Rounded up a part: blocks never cross from one source to the next, so that a shard's
            # own checksums can be carried over.
            last = row + int((-(-nbytes // BLOCK_BYTES)).sum())
            plans[column.name] = ArrayPlan(column.dtype, table.shape(shard_name), (row, last))
            row = last
    return plans


def units(
    tables: Sequence[Table], plans: Mapping[str, ArrayPlan], sources: Sequence[Source]
) -> Iterator[Unit]:
    """Yield all work in order of tables and parts; copies in blocks, the rest a column a part."""
    for number, table in enumerate(tables):
        columns = table.moved
        places = dict.fromkeys(columns, 0)
        blocks = {name: plans[column.name].blocks[0] for name, column in columns.items()}
        for place, part in enumerate(table.parts):
            source = None if part.source == MISSING else sources[part.source]
            for shard_name, column in columns.items():
                nbytes = table.part_bytes(place, shard_name)
                if nbytes == 0:
                    continue
                whole = Unit(
                    number, place, shard_name, column.name,
                    places[shard_name], nbytes, blocks[shard_name],
                )  # fmt: skip
                places[shard_name] += nbytes
                blocks[shard_name] += n_blocks(nbytes)
                if source is None or is_computed(shard_name, column, source):
                    yield whole
                else:
                    yield from _copies(whole, table, column, source)


def is_computed(shard_name: str, column: Column, source: Source) -> bool:
    """Whether a column of a part is made and not copied: translated, or filled where it lacks."""
    return bool(column.index) or shard_name == DIGEST.name or shard_name not in source.entries


def _copies(whole: Unit, table: Table, column: Column, source: Source) -> Iterator[Unit]:
    entry = source.entries[whole.shard_name]
    first_row, _ = table.span(column.rows, whole.part)
    place = entry.offset + first_row * entry.row_bytes
    # A part of a shard begins elsewhere, and has other blocks.
    known = entry.sha256 if whole.nbytes == entry.nbytes else ()
    for number, (start, length) in enumerate(block_spans(whole.nbytes)):
        yield Unit(
            whole.table,
            whole.part,
            whole.shard_name,
            whole.name,
            whole.start + start,
            length,
            whole.block + number,
            place + start,
            known[number] if known else "",
        )


class Sized(Protocol):
    """Something to do for so many bytes."""

    @property
    def nbytes(self) -> int:
        """Their number."""


Some = TypeVar("Some", bound=Sized)


def share(work: Iterable[Some], total: int, rank: int, size: int) -> Iterator[Some]:
    """Yield what one rank of `size` does: stretches of equal cost, `total` that of all."""
    done = 0
    for unit in work:
        # Whole numbers only: all ranks walk the same list and must cut it at the same places.
        if done * size // max(total, 1) == rank:
            yield unit
        done += bytes_to_copy(unit.nbytes)


def bytes_to_copy(nbytes: int) -> int:
    """Return what a unit costs, in bytes copied: its own and those that its calls are worth."""
    return nbytes + CALL_BYTES * n_blocks(nbytes)
