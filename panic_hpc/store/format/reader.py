"""Strict reading: a header checked as a whole, then bytes by position and nothing else of HDF5.

Whatever links, filters, virtual sources or references a file may hold, they are never followed:
only the header is found through HDF5, and every array is plain bytes inside the file at a place
the checked header gives. A reader keeps one read-only descriptor, so a file that is replaced stays
readable, and positional reads can be shared by threads and forked processes.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.closing import Closing
from panic_hpc.disk.blocks import BLOCK_BYTES, block_spans, byte_view, read_bytes, read_into
from panic_hpc.disk.files import version_of
from panic_hpc.disk.sha256 import PIECE_BYTES, Part, Span
from panic_hpc.errors import ShardError
from panic_hpc.store.checks.rules import RefusedError
from panic_hpc.store.format import hdf5, header
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.format.references import ARRAY as REFERRED
from panic_hpc.store.format.references import References, references_of

CHECKSUM_COLUMNS = ("checksums/length", "checksums/sha256")
_CHECKSUM_DTYPES = ("<i8", "|S64")


class ArrayFile(Closing):
    """One published file. `header` is its checked JSON, `entries` its arrays by name."""

    def __init__(self, path: Path) -> None:
        """Open and check the header; ShardError where it is absent, damaged, foreign or newer."""
        self.path = path
        self.descriptor = -1
        self.descriptor, (place, size, checksum_place) = _opened(path)
        try:
            self.size = _regular_size(self.descriptor, path)
            self.header_sha256, self.header = self._read_header(place, size, checksum_place)
            self.entries: Mapping[str, ArrayEntry] = self.header["arrays"]
            _check_places(self.entries, self.size, str(path))
            _check_sums_table(self.entries, str(path))
        except BaseException:
            self.close()
            raise

    def _read_header(self, place: int, size: int, checksum_place: int) -> tuple[str, Any]:
        # Before the buffer is allocated: a hostile file may claim any size.
        if size > min(header.HEADER_LIMIT_BYTES, self.size):
            raise RefusedError("F01", f"{self.path} declares a header of {size} bytes")
        name = str(self.path)
        checksum = read_bytes(self.descriptor, 64, checksum_place, name).decode("ascii", "replace")
        content = read_bytes(self.descriptor, size, place, name)
        return checksum, header.decode_header(content, checksum, name)

    @property
    def kind(self) -> str:
        """`shard` or `dataset`."""
        return str(self.header["kind"])

    def __del__(self) -> None:
        # A notebook opens a dataset a cell and closes none.
        with suppress(AttributeError, OSError):
            self.close()

    def close(self) -> None:
        """Close the descriptor; reading afterwards is an error."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    @cached_property
    def references(self) -> References | None:
        """What a dataset refers to in files beside it; None where it has its pictures itself."""
        return references_of(self)

    def refers_to(self, name: str) -> References | None:
        """Return where the array `name` lies if that is in other files."""
        return self.references if name == REFERRED and name not in self.entries else None

    def __contains__(self, name: str) -> bool:
        return name in self.entries or self.refers_to(name) is not None

    def entry(self, name: str) -> ArrayEntry:
        """Return where and what an array is; ShardError where there is none of that name."""
        if elsewhere := self.refers_to(name):
            return elsewhere.entry
        try:
            return self.entries[name]
        except KeyError as error:
            raise ShardError(f"{self.path} has no array {name}") from error

    def rows(self, name: str) -> int:
        """Return the length of an array's first axis."""
        shape = self.entry(name).shape
        return shape[0] if shape else 1

    def array(self, name: str) -> NDArray[Any]:
        """Return a whole array, its checksums verified."""
        self.check(name)
        return self.whole(name)

    def whole(self, name: str) -> NDArray[Any]:
        """Return all rows of an array, without verifying its checksums."""
        return self.slice(name, 0, self.rows(name))

    def slice(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows `start` to `stop` of an array, without verifying its checksums."""
        entry = self.entry(name)
        if self.descriptor < 0:
            raise ShardError(f"{self.path} is closed")
        if not 0 <= start <= stop <= self.rows(name):
            raise ShardError(f"{self.path} has no rows {start} to {stop} in {name}")
        if elsewhere := self.refers_to(name):
            return elsewhere.read(start, stop)
        result = np.empty((stop - start, *entry.shape[1:]), entry.dtype)
        if result.nbytes:
            place = entry.offset + start * entry.row_bytes
            read_into(self.descriptor, byte_view(result), place, str(self.path))
        return result

    def pieces(self, name: str, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes of rows `start` to `stop` in pieces of bounded size."""
        if elsewhere := self.refers_to(name):
            for place in range(start, stop, PIECE_BYTES):
                yield byte_view(elsewhere.read(place, min(place + PIECE_BYTES, stop)))
            return
        entry = self.entry(name)
        first, last = (entry.offset + row * entry.row_bytes for row in (start, stop))
        yield from self.byte_pieces(first, last)

    def byte_pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes `start` to `stop` of the file in pieces of bounded size."""
        yield from self._span(start, stop)

    def part(self, name: str, start: int, stop: int) -> Part:
        """Return the bytes of rows `start` to `stop` as a part of a message that is hashed."""
        if self.refers_to(name):
            return self.pieces(name, start, stop)
        entry = self.entry(name)
        return self._span(*(entry.offset + row * entry.row_bytes for row in (start, stop)))

    def _span(self, start: int, stop: int) -> Span:
        if self.descriptor < 0:
            raise ShardError(f"{self.path} is closed")
        return Span(self.descriptor, start, stop - start, str(self.path))

    def sha256(self, place: int, nbytes: int) -> str:
        """Return the SHA-256 of `nbytes` of the file from `place` on."""
        hasher = hashlib.sha256()
        for piece in self.byte_pieces(place, place + nbytes):
            hasher.update(piece)
        return hasher.hexdigest()

    def block_sums(self, name: str) -> Iterator[tuple[int, int, str]]:
        """Yield (first byte in the file, length, SHA-256) of each block of an array."""
        entry = self.entry(name)
        if entry.blocks is None:
            spans: Any = block_spans(entry.nbytes)
            for (start, length), digest in zip(spans, entry.sha256, strict=True):
                yield entry.offset + start, length, digest
            return
        lengths, digests = (self.slice(column, *entry.blocks) for column in CHECKSUM_COLUMNS)
        if np.any((lengths < 1) | (lengths > BLOCK_BYTES)):
            raise ShardError(f"{self.path} has a checksum of a block that cannot be in {name}")
        place = entry.offset
        for length, digest in zip(lengths.tolist(), digests.tolist(), strict=True):
            yield place, length, digest.decode("ascii", "replace")
            place += length

    def check(self, name: str) -> None:
        """Verify every byte of an array; ShardError that names it where one is wrong."""
        if elsewhere := self.refers_to(name):
            for block in elsewhere.blocks[1]:
                elsewhere.require(block)
            return
        covered = 0
        for place, length, expected in self.block_sums(name):
            if self.sha256(place, length) != expected:
                raise ShardError(f"{self.path} is damaged: wrong bytes in {name}")
            covered += length
        # Else rows of the checksums table that end early would leave the rest unchecked.
        if covered != self.entry(name).nbytes:
            raise ShardError(f"{self.path} has checksums for a part of {name} only")

    def check_bytes(self, name: str, first: int, last: int) -> None:
        """Verify the blocks of an array that bytes `first` to `last` of the file lie in."""
        for place, length, expected in self.block_sums(name):
            touches = place < last and place + length > first
            if touches and self.sha256(place, length) != expected:
                raise ShardError(f"{self.path} is damaged: wrong bytes in {name}")

    def check_all(self) -> None:
        """Verify every byte of every array, of what is referred to as well."""
        for name in self.entries:
            self.check(name)
        if self.references:
            self.check(REFERRED)


class OpenArrays(ArrayFile):
    """Arrays at known places behind a descriptor that somebody else opened, without a header."""

    def __init__(self, path: Path, descriptor: int, entries: Mapping[str, ArrayEntry]) -> None:
        self.path, self.descriptor, self.entries = path, descriptor, entries

    def __del__(self) -> None:
        """Leave the descriptor to whoever opened it."""


def _opened(path: Path) -> tuple[int, tuple[int, int, int]]:
    """Return a descriptor of a file and where its header lies."""
    while True:
        before = None
        # Where it cannot be asked, whoever opens it says why.
        with suppress(OSError, ValueError):
            before = version_of(path)
        places = hdf5.locate_header(path)
        # Opened a second time: another file may have taken its place in between, with its header
        # elsewhere, and would be told as damaged. Then both are asked of that one.
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if version_of(descriptor) == before:
                return descriptor, places
            os.close(descriptor)


def _regular_size(descriptor: int, path: Path) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("F01", f"{path} is not a regular file")
    return status.st_size


def _check_places(entries: Mapping[str, ArrayEntry], size: int, source: str) -> None:
    end, before = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if entry.nbytes == 0:
            continue
        if entry.offset + entry.nbytes > size:
            raise RefusedError("F03", f"{source} is truncated: {name} ends after the file does")
        # An array at 0 would lie over HDF5's signature; only empty ones say 0, and they were
        # skipped.
        if entry.offset < max(end, 1):
            raise RefusedError(
                "F03", f"{source} is malformed: {name} overlaps {before or 'the file head'}"
            )
        end, before = entry.offset + entry.nbytes, name


def _check_sums_table(entries: Mapping[str, ArrayEntry], source: str) -> None:
    """Raise RefusedError where arrays point into a table of checksums that cannot be one."""
    users = [(name, entry.blocks) for name, entry in entries.items() if entry.blocks is not None]
    if not users:
        return
    rows = 0
    for name, dtype in zip(CHECKSUM_COLUMNS, _CHECKSUM_DTYPES, strict=True):
        entry = entries.get(name)
        if entry is None or entry.blocks is not None or len(entry.shape) != 1:
            raise RefusedError("F02", f"{source} has no usable {name}")
        if np.dtype(entry.dtype) != np.dtype(dtype):
            raise RefusedError("F02", f"{source} has {name} of dtype {entry.dtype}, not {dtype}")
        rows = min(entry.shape[0], rows) if name != CHECKSUM_COLUMNS[0] else entry.shape[0]
    for name, (_, last) in users:
        if last > rows:
            raise RefusedError("F02", f"{source} has checksums for {name} beyond their table")
