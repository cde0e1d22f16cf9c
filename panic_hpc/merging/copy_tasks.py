"""One rank's share of a merge: bytes copied and compared, values rebased and read back."""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from panic_hpc.disk.blocks import BlockSums, block_spans, byte_view, write_at
from panic_hpc.disk.copying import copy_compared, copy_range
from panic_hpc.disk.system import sync, sync_data
from panic_hpc.errors import ShardError
from panic_hpc.merging.digests import Compared, RunRange, compare, groups, in_flight
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import Unit
from panic_hpc.merging.rebase import Rebase, is_missing
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.reader import CHECKSUM_COLUMNS, OpenArrays

# A task opens its source once; too large a task leaves other threads idle at the end.
TASK_UNITS = 64
TASK_BYTES = 64 * 2**20
# What is hashed together was copied together, and has to be in memory still.
GROUP_BYTES = 2**29
# Written back as the merge goes on; left to the end, all threads would wait for the disk.
SYNC_BYTES = 2**30
_LENGTH_BYTES = 8
_SHA256_BYTES = 64

Task = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Target:
    """The file being made, open for reading and writing, and where in it each array begins."""

    file: OpenArrays
    places: Mapping[str, int]

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self.file.descriptor

    def note(self, block: int, length: int, sha256: str) -> None:
        """Write a row of the checksums table."""
        lengths, digests = (self.places[name] for name in CHECKSUM_COLUMNS)
        encoded = length.to_bytes(_LENGTH_BYTES, "little")
        # By position: no rank has to tell another which blocks it has done.
        write_at(self.descriptor, memoryview(encoded), lengths + _LENGTH_BYTES * block)
        write_at(self.descriptor, memoryview(sha256.encode()), digests + _SHA256_BYTES * block)


@dataclass(frozen=True, slots=True)
class CopyTask:
    """How units are carried out; with `check` every byte written is read back and compared.

    What runs' digests cover is not compared with the checksums of its blocks besides: that would
    hash every byte twice.
    """

    target: Target
    rebase: Rebase
    check: bool

    def write(self, units: Sequence[Unit]) -> int:
        """Carry out units of one part; returns their bytes."""
        table = self.rebase.tables[units[0].table]
        part = table.parts[units[0].part]
        if is_missing(table, units[0]):
            for unit in units:
                self._compute(unit, None)
        else:
            in_flight = self._in_flight(units[0].table, units[0].part)
            with opened(self.rebase.sources[part.source]) as file:
                for unit in units:
                    self._put(unit, file, in_flight)
        return _nbytes(units)

    def compare(self, stretches: Sequence[RunRange]) -> int:
        """Compare runs with their digests, copying what is large; returns their bytes."""
        work = [self._comparison(stretch) for stretch in stretches]
        return compare(work, self.target.file)

    def _comparison(self, stretch: RunRange) -> Compared:
        table = self.rebase.tables[stretch.table]
        places = {
            name: self.target.places[column.name]
            + int(table.starts[column.rows][stretch.part]) * table.row_bytes(name)
            for name, column in self._in_flight(stretch.table, stretch.part).items()
        }
        source = self.rebase.sources[table.parts[stretch.part].source]
        return Compared(source, stretch, places)

    def _in_flight(self, table: int, part: int) -> Mapping[str, Column]:
        """Return the columns of a part that `compare` copies."""
        if not self.check:
            return {}
        return in_flight(self.rebase.tables[table], part, self.rebase.sources)

    def _put(self, unit: Unit, file: OpenArrays, in_flight: Container[str]) -> None:
        if unit.shard_name in in_flight:
            self.target.note(unit.block, unit.nbytes, unit.sha256)
        elif unit.is_copy:
            self._copy(unit, file)
        else:
            self._compute(unit, file)

    def _copy(self, unit: Unit, file: OpenArrays) -> None:
        at = self.target.places[unit.name] + unit.start
        ends = (file.descriptor, unit.copy_from, self.target.descriptor, at)
        if self.check:
            pieces = copy_compared(*ends, unit.nbytes, str(file.path))
            sha256 = self._checked(unit, pieces, file)
        else:
            copy_range(*ends, unit.nbytes, str(file.path))
            sha256 = unit.sha256 or self.target.file.sha256(at, unit.nbytes)
        self.target.note(unit.block, unit.nbytes, sha256)

    def _checked(self, unit: Unit, pieces: Iterable[memoryview], file: OpenArrays) -> str:
        """Return the checksum of a copy; ShardError where it is not what its shard says."""
        has_digest = self.rebase.tables[unit.table].columns[unit.shard_name].scientific
        # Its run's digest covers these bytes already, and is computed in any case.
        hasher = None if has_digest and unit.sha256 else hashlib.sha256()
        for piece in pieces:
            if hasher:
                hasher.update(piece)
        if not unit.sha256 and not has_digest:
            file.check_bytes(unit.shard_name, unit.copy_from, unit.copy_from + unit.nbytes)
        found = hasher.hexdigest() if hasher else unit.sha256
        if found != (unit.sha256 or found):
            raise ShardError(
                f"{file.path} is damaged: wrong bytes in {unit.shard_name}",
                hint="Remove it and submit the experiment again",
            )
        return found

    def _compute(self, unit: Unit, file: OpenArrays | None) -> None:
        data = byte_view(self.rebase.values(unit, file, self.check))
        if len(data) != unit.nbytes:
            raise ShardError(f"{unit.name} would get {len(data)} bytes, not {unit.nbytes}")
        at = self.target.places[unit.name] + unit.start
        write_at(self.target.descriptor, data, at)
        sums = BlockSums()
        sums.update(data)
        spans = zip(block_spans(unit.nbytes), sums.finish(), strict=True)
        for number, ((start, length), sha256) in enumerate(spans):
            if self.check and self.target.file.sha256(at + start, length) != sha256:
                path = self.target.file.path
                raise ShardError(f"{path} did not keep what was written to {unit.name}")
            self.target.note(unit.block + number, length, sha256)


def tasks(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Yield units in groups of one part, of bounded number and size."""
    for _, of_part in groupby(units, key=lambda unit: (unit.table, unit.part)):
        task: list[Unit] = []
        nbytes = 0
        for unit in of_part:
            task.append(unit)
            nbytes += unit.nbytes
            if len(task) == TASK_UNITS or nbytes >= TASK_BYTES:
                yield task
                task, nbytes = [], 0
        if task:
            yield task


def carry_out(
    work: CopyTask,
    units: Iterable[Unit],
    stretches: Iterable[RunRange],
    threads: int,
    report: Callable[[int], None],
) -> None:
    """Write all units and compare all stretches in `threads` threads, then sync.

    `report` gets the bytes done so far, of both. While threads go on, the disk takes what they
    have written.
    """
    writing = ((_nbytes(task), partial(work.write, task)) for task in tasks(units))
    comparing = (
        (_nbytes(some), partial(work.compare, some)) for some in groups(stretches, GROUP_BYTES)
    )
    descriptor = work.target.descriptor
    with ThreadPoolExecutor(threads, "merge") as pool, ThreadPoolExecutor(1, "sync") as disk:
        syncing: list[Future[None]] = []

        def progressed(done: int) -> None:
            report(done)
            if done >= SYNC_BYTES * (len(syncing) + 1):
                syncing.append(disk.submit(sync_data, descriptor))

        _in_threads(pool, 2 * threads, in_turn(writing, comparing), progressed)
        syncing.append(disk.submit(sync, descriptor))
        for one in syncing:
            one.result()


def _nbytes(units: Sequence[Unit] | Sequence[RunRange]) -> int:
    return sum(unit.nbytes for unit in units)


def in_turn(some: Iterable[tuple[int, Task]], others: Iterable[tuple[int, Task]]) -> Iterator[Task]:
    """Yield tasks of both, each with its bytes, so that neither gets ahead of the other.

    What is copied is then still in memory when its digests are computed.
    """
    rest = iter(others)
    ahead = 0
    for nbytes, task in some:
        yield task
        ahead += nbytes
        while ahead > 0 and (other := next(rest, None)):
            ahead -= other[0]
            yield other[1]
    yield from (task for _, task in rest)


def _in_threads(
    pool: ThreadPoolExecutor, at_once: int, todo: Iterable[Task], report: Callable[[int], None]
) -> None:
    done = 0
    pending: set[Future[int]] = set()
    try:
        for task in todo:
            pending.add(pool.submit(task))
            # Bounded, since `todo` makes its tasks as they are asked for: millions would fill the
            # memory.
            while len(pending) > at_once:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in finished)
                report(done)
        done += sum(future.result() for future in pending)
        report(done)
    except BaseException:
        for future in pending:
            future.cancel()
        raise
