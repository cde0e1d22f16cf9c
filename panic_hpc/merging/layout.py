"""Where every byte of a dataset comes from and goes to: a pure function of what the shards hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import BLOCK_BYTES, block_spans
from panic_hpc.errors import PanicError
from panic_hpc.merging.run_sources import MISSING, Part, Source
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.store.results.base import DIGEST, ResultKind, kind_of

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """One stage (and embedding model) of the dataset, part by part.

    By dimension: `spans` (n_parts, 2) are the rows of its source that each part takes, `starts`
    (n_parts + 1,) the row of the dataset at which it begins, and the end. `columns` and `trailing`
    (sizes of the axes after the first) go by names in a shard. `stays` names columns whose bytes
    are left where they are.
    """

    stage: str
    model: str
    parts: Sequence[Part]
    spans: Mapping[str, Rows]
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

    def counts(self, dimension: str) -> Rows:
        """Return the number of rows of each part."""
        return np.diff(self.starts[dimension])

    def part_bytes(self, part: int, shard_name: str) -> int:
        """Return the bytes that a part has of one of its arrays, by its name in a shard."""
        starts = self.starts[self.columns[shard_name].rows]
        return int(starts[part + 1] - starts[part]) * self.row_bytes(shard_name)

    def row_bytes(self, shard_name: str) -> int:
        """Return the bytes of a row of one of its arrays, by its name in a shard."""
        return prod(self.trailing[shard_name]) * np.dtype(self.columns[shard_name].dtype).itemsize

    def shape(self, shard_name: str) -> tuple[int, ...]:
        """Return the shape in the dataset of one of its arrays, by its name in a shard."""
        column = self.columns[shard_name]
        rows = int(self.starts[column.rows][-1]) + column.edges
        return (rows, *self.trailing[shard_name])


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

    With `refer` what may stay in the shards stays there.
    """
    used = [sources[part.source] for part in parts if part.source != MISSING]
    columns = {
        name: column
        for name, column in kind_of(stage).dataset_columns(model)
        if any(name in source.entries for source in used)
    }
    trailing = {name: _trailing(name, used) for name in columns}
    dimensions = dict.fromkeys(column.rows for column in columns.values())
    spans = {dimension: np.zeros((len(parts), 2), np.int64) for dimension in dimensions}
    for place, part in enumerate(parts):
        found = _part_spans(kind_of(stage), part, sources, edges_of, trailing)
        for dimension in dimensions & found.keys():
            spans[dimension][place] = found[dimension]
    starts = {name: offsets_of(span[:, 1] - span[:, 0]) for name, span in spans.items()}
    stays = kind_of(stage).may_stay if refer else ()
    return Table(stage, model, parts, spans, starts, columns, trailing, stays)


def _trailing(name: str, used: Sequence[Source]) -> tuple[int, ...]:
    holders = [source for source in used if name in source.entries]
    first = holders[0]
    for source in holders:
        if source.entries[name].shape[1:] != first.entries[name].shape[1:]:
            raise PanicError(
                f"{name} has rows of another shape in {source.path} than in {first.path}",
                hint="Experiments with different settings of homology go into different datasets",
            )
    return first.entries[name].shape[1:]


def _part_spans(
    kind: ResultKind,
    part: Part,
    sources: Sequence[Source],
    edges_of: Callable[[Source], Mapping[str, Rows]],
    trailing: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[int, int]]:
    if part.source == MISSING:
        counts = kind.rows_per_run.items()
        fixed = {name: (0, part.n_runs * count.of_missing(trailing)) for name, count in counts}
        return {"run": (0, part.n_runs), **fixed}
    source = sources[part.source]
    # The common case needs the header only; a part needs columns of the shard to be read.
    if part.n_runs == source.n_runs:
        return {
            column.rows: (0, source.entries[name].shape[0] - column.edges)
            for name, column in kind.by_name.items()
            if name in source.entries
        }
    first, last = part.first_row, part.first_row + part.n_runs
    return {name: (int(e[first]), int(e[last])) for name, e in edges_of(source).items()}


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
    """One array: its shape, the rows of the checksums table it has, and the first one a part."""

    dtype: str
    shape: tuple[int, ...]
    blocks: tuple[int, int]
    part_bytes: Rows
    part_blocks: Rows

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
            shape = table.shape(shard_name)
            row_bytes = table.row_bytes(shard_name)
            nbytes = table.counts(column.rows) * row_bytes
            if column.edges:
                # Offsets have one row more than what they cut up, and the last part writes it.
                nbytes[-1] += row_bytes
            # Rounded up a part: blocks never cross from one source to the next, so that a shard's
            # own checksums can be carried over.
            n_blocks = -(-nbytes // BLOCK_BYTES)
            last = row + int(n_blocks.sum())
            plans[column.name] = ArrayPlan(
                column.dtype, shape, (row, last), offsets_of(nbytes), row + offsets_of(n_blocks)
            )
            row = last
    return plans


def units(
    tables: Sequence[Table], plans: Mapping[str, ArrayPlan], sources: Sequence[Source]
) -> Iterator[Unit]:
    """Yield all work in order of tables and parts; copies in blocks, the rest a column a part."""
    for number, table in enumerate(tables):
        for place, part in enumerate(table.parts):
            for shard_name, column in table.moved.items():
                whole = _whole_unit(number, place, shard_name, column, plans[column.name])
                if whole.nbytes == 0:
                    continue
                if is_computed(shard_name, column, part, sources):
                    yield whole
                else:
                    yield from _copies(whole, table, column, sources[part.source])


def is_computed(shard_name: str, column: Column, part: Part, sources: Sequence[Source]) -> bool:
    """Whether a column of a part is made and not copied: translated, or filled where it lacks."""
    if part.source == MISSING or column.index or shard_name == DIGEST.name:
        return True
    return shard_name not in sources[part.source].entries


def _whole_unit(number: int, place: int, shard_name: str, column: Column, plan: ArrayPlan) -> Unit:
    start, stop = plan.part_bytes[place : place + 2].tolist()
    return Unit(
        number, place, shard_name, column.name, start, stop - start, int(plan.part_blocks[place])
    )


def _copies(whole: Unit, table: Table, column: Column, source: Source) -> Iterator[Unit]:
    entry = source.entries[whole.shard_name]
    first_row = int(table.spans[column.rows][whole.part, 0])
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
    return nbytes + 32 * 1024
