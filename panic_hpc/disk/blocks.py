"""Bytes at places: exact positional reads and writes, and SHA-256 checksums a block.

Arrays are checksummed in blocks of BLOCK_BYTES, so that threads and ranks can share the checking
of one large array and merge can carry the checksums over instead of making them again.
"""

import ctypes
import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc.disk import system
from panic_hpc.errors import DiskError, ShardError

# Part of the format (docs/format.md): a reader with another number could check no file.
BLOCK_BYTES = 8 * 2**20
# Arrays are counted to the byte; what HDF5 and the file system take besides is not.
MARGIN_BYTES = 2**20
# Linux moves a little less than 2 GiB a call at most, whatever is asked for.
_CALL_BYTES = 2**30


def read_into(descriptor: int, buffer: memoryview, offset: int, name: str) -> None:
    """Fill `buffer` from `offset`.

    ShardError where the file of that name is too short, DiskError where it cannot be read.
    """
    done = 0
    while done < len(buffer):
        try:
            # preadv fills the buffer in place; pread would allocate each piece and copy it.
            got = os.preadv(descriptor, [buffer[done : done + _CALL_BYTES]], offset + done)
        except OSError as error:
            raise DiskError(f"{name} cannot be read ({error.strerror})") from error
        if got == 0:
            raise ShardError(f"{name} is truncated: it ends before byte {offset + len(buffer)}")
        done += got


def read_bytes(descriptor: int, nbytes: int, offset: int, name: str) -> bytearray:
    """Return `nbytes` from `offset`; ShardError where the file is too short."""
    buffer = bytearray(nbytes)
    read_into(descriptor, memoryview(buffer), offset, name)
    return buffer


@contextmanager
def writing(path: Path, *, is_durable: bool = True) -> Iterator[int]:
    """Give a descriptor of an existing file for positional writes, synced at the end."""
    descriptor = system.open_existing(path)
    try:
        yield descriptor
        if is_durable:
            system.sync(descriptor)
    finally:
        os.close(descriptor)


def write_at(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`, however many calls that takes."""
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done : done + _CALL_BYTES], offset + done)


def byte_view(array: "np.ndarray[Any, Any]") -> memoryview:
    """Return the bytes of an array without copying it where it is contiguous."""
    flat = np.ascontiguousarray(array).reshape(-1)
    # memoryview.cast takes neither byte strings nor shapes with a zero in them.
    return flat.view(np.uint8).data


def n_blocks(nbytes: int) -> int:
    """Return how many blocks `nbytes` are checksummed in."""
    return -(-nbytes // BLOCK_BYTES)


def block_spans(nbytes: int) -> Iterator[tuple[int, int]]:
    """Yield (start, length) of the blocks of an array of `nbytes`; none for an empty one."""
    for start in range(0, nbytes, BLOCK_BYTES):
        yield start, min(BLOCK_BYTES, nbytes - start)


@dataclass(slots=True)
class BlockSums:
    """The SHA-256 of each block of bytes that arrive in pieces of any size."""

    digests: list[str] = field(default_factory=list)
    _filled: int = 0
    _hasher: Any = field(default_factory=hashlib.sha256)

    def update(self, data: memoryview) -> None:
        """Take the next bytes of the array."""
        while len(data):
            piece = data[: BLOCK_BYTES - self._filled]
            self._hasher.update(piece)
            self._filled += len(piece)
            data = data[len(piece) :]
            if self._filled == BLOCK_BYTES:
                self._close_block()

    def _close_block(self) -> None:
        self.digests.append(self._hasher.hexdigest())
        self._hasher, self._filled = hashlib.sha256(), 0

    def finish(self) -> list[str]:
        """Return the checksums of all blocks, the last one perhaps shorter."""
        if self._filled:
            self._close_block()
        return self.digests


def reserve(descriptor: int, nbytes: int) -> None:
    """Give an open file room for `nbytes` at once, in few pieces; OSError where there is none.

    Does nothing where the file system cannot. Python's own posix_fallocate would then write a byte
    to every block.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "fallocate64"):
        return
    # ctypes passes a bare int as a C int, which cuts sizes off at 2 GiB.
    number = ctypes.c_int64
    while library.fallocate64(descriptor, 0, number(0), number(nbytes)) != 0:
        error = ctypes.get_errno()
        if error in (errno.EOPNOTSUPP, errno.ENOSYS):
            return
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))


def free_bytes(directory: Path) -> int:
    """Return what `directory`'s file system has room for; a user's quota usually does not show."""
    status = os.statvfs(directory)
    # f_bfree would count what is kept for root.
    return status.f_bavail * status.f_frsize


def require_space(
    directory: Path, nbytes: int, purpose: str, unfinished: Sequence[Path] = ()
) -> None:
    """Raise DiskError where `directory`'s file system has no room for `nbytes` and a margin.

    `unfinished` are files there that a killed process may have left, which the error then names.
    """
    free = free_bytes(directory)
    if free < nbytes + MARGIN_BYTES:
        raise DiskError(
            f"{purpose} needs {nbytes + MARGIN_BYTES} bytes in {directory}, {free} are free",
            hint=f"{_freed_by(unfinished)}Make room or choose another place, then run the same "
            "command again",
        )


def _freed_by(unfinished: Sequence[Path]) -> str:
    # Their names come from a listing: one may have been published or removed since.
    sizes = {}
    for path in unfinished:
        with suppress(FileNotFoundError):
            sizes[path] = path.stat().st_blocks * 512
    if not sizes:
        return ""
    names = " ".join(map(str, sizes))
    return f"If no other process is writing there, rm {names} frees {sum(sizes.values())}. "
