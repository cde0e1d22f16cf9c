"""One rank's share of a merge: bytes copied, values rebased, and what was written read back."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from panic_hpc.errors import ShardError
from panic_hpc.merging.layout import Unit
from panic_hpc.merging.places import Source
from panic_hpc.merging.rebase import Rebase, is_missing
from panic_hpc.store.blocks import (
    BLOCK_BYTES,
    BlockSums,
    block_spans,
    byte_view,
    read_into,
    write_at,
)
from panic_hpc.store.copying import copy_range
from panic_hpc.store.reader import CHECKSUM_COLUMNS, OpenArrays

TASK_UNITS = 64
TASK_BYTES = 64 * 2**20
_LENGTH_BYTES = 8
_SHA256_BYTES = 64


@dataclass(frozen=True, slots=True)
class Target:
    """The file being made: its descriptor, and where in it each array begins."""

    path: Path
    descriptor: int
    places: Mapping[str, int]

    def note(self, block: int, length: int, sha256: str) -> None:
        """Write a row of the checksums table."""
        lengths, digests = (self.places[name] for name in CHECKSUM_COLUMNS)
        encoded = length.to_bytes(_LENGTH_BYTES, "little")
        write_at(self.descriptor, memoryview(encoded), lengths + _LENGTH_BYTES * block)
        write_at(self.descriptor, memoryview(sha256.encode()), digests + _SHA256_BYTES * block)


@dataclass(frozen=True, slots=True)
class Work:
    """How units are carried out; with `check` every byte is read back and compared."""

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
            with opened(self.rebase.sources[part.source]) as file:
                for unit in units:
                    self._copy(unit, file) if unit.is_copy else self._compute(unit, file)
        return sum(unit.nbytes for unit in units)

    def _copy(self, unit: Unit, file: OpenArrays) -> None:
        at = self.target.places[unit.name] + unit.start
        name = str(file.path)
        copy_range(file.descriptor, unit.copy_from, self.target.descriptor, at, unit.nbytes, name)
        if self.check and not unit.sha256:
            file.check_bytes(unit.shard_name, unit.copy_from, unit.copy_from + unit.nbytes)
        sha256 = unit.sha256 or self._read_back(at, unit.nbytes)
        self.target.note(unit.block, unit.nbytes, sha256)

    def compare(self, units: Sequence[Unit]) -> int:
        """Read back the copies of one part and compare their checksums; returns their bytes."""
        for unit in units:
            if unit.sha256:
                at = self.target.places[unit.name] + unit.start
                if self._read_back(at, unit.nbytes) != unit.sha256:
                    raise self._damaged(unit)
        return sum(unit.nbytes for unit in units)

    def _damaged(self, unit: Unit) -> ShardError:
        part = self.rebase.tables[unit.table].parts[unit.part]
        return ShardError(
            f"{self.rebase.sources[part.source].path} is damaged: wrong bytes in {unit.shard_name}",
            hint="Remove it and submit the experiment again",
        )

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
            if self.check and self._read_back(at + start, length) != sha256:
                raise ShardError(f"{self.target.path} did not keep what was written to {unit.name}")
            self.target.note(unit.block + number, length, sha256)

    def _read_back(self, at: int, nbytes: int) -> str:
        data = _buffer()[:nbytes]
        read_into(self.target.descriptor, data, at, str(self.target.path))
        return hashlib.sha256(data).hexdigest()


_OWN = threading.local()


def _buffer() -> memoryview:
    """Return this thread's block of memory; a new one each time would be zeroed each time."""
    if not hasattr(_OWN, "buffer"):
        _OWN.buffer = memoryview(bytearray(BLOCK_BYTES))
    view: memoryview = _OWN.buffer
    return view


@contextmanager
def opened(source: Source) -> Iterator[OpenArrays]:
    """Open the arrays of a source; ShardError where its file is gone."""
    try:
        descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ShardError(f"{source.path} disappeared while it was merged") from error
    try:
        yield OpenArrays(Path(source.path), descriptor, source.entries)
    finally:
        os.close(descriptor)


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
    work: Work, units: Callable[[], Iterable[Unit]], threads: int, report: Callable[[int], None]
) -> None:
    """Write all units in `threads` threads, then, while the disk takes them, compare the copies.

    `units` is called once a pass; `report` gets the bytes done so far, those of both passes.
    """
    with ThreadPoolExecutor(threads, "merge") as pool, ThreadPoolExecutor(1, "sync") as disk:
        written = _in_threads(pool, 2 * threads, work.write, units(), report)
        syncing = disk.submit(os.fsync, work.target.descriptor)
        if work.check:
            _in_threads(
                pool, 2 * threads, work.compare, units(), lambda done: report(written + done)
            )
        syncing.result()


def _in_threads(
    pool: ThreadPoolExecutor,
    at_once: int,
    do: Callable[[Sequence[Unit]], int],
    units: Iterable[Unit],
    report: Callable[[int], None],
) -> int:
    done = 0
    pending: set[Future[int]] = set()
    try:
        for task in tasks(units):
            pending.add(pool.submit(do, task))
            while len(pending) > at_once:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in finished)
                report(done)
        done += sum(future.result() for future in pending)
        report(done)
        return done
    except BaseException:
        for future in pending:
            future.cancel()
        raise
