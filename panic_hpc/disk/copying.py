"""Copying ranges of bytes between files: in the kernel where it can, by read and write else."""

import errno
import os
from collections.abc import Iterator

from panic_hpc.disk.blocks import read_bytes, read_into, write_at
from panic_hpc.errors import ShardError

# EXDEV across file systems; ENOSYS and EPERM from old kernels and from filters of containers.
_UNSUPPORTED = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF}
_PIECE_BYTES = 256 * 1024


def copy_range(source: int, place: int, target: int, at: int, nbytes: int, name: str) -> None:
    """Copy `nbytes` from `place` of one descriptor to `at` of another.

    ShardError where the source, a file of that `name`, ends too early.
    """
    done = copy_in_kernel(source, place, target, at, nbytes)
    if done < nbytes:
        copy_by_hand(source, place + done, target, at + done, nbytes - done, name)


def copy_compared(
    source: int, place: int, target: int, at: int, nbytes: int, name: str
) -> Iterator[memoryview]:
    """Copy piece by piece; yield each, which read back from the target is what the source gave.

    A piece is read from the source once and still in the processor's cache when it is yielded. It
    is valid until the next one is asked for.
    """
    piece, back = (bytearray(min(nbytes, _PIECE_BYTES)) for _ in range(2))
    for start in range(0, nbytes, _PIECE_BYTES):
        length = min(_PIECE_BYTES, nbytes - start)
        if length < len(piece):
            piece, back = bytearray(length), bytearray(length)
        read_into(source, memoryview(piece), place + start, name)
        write_at(target, memoryview(piece), at + start)
        # From the page cache, not from the disk: this finds short and misplaced writes, no bad
        # sectors.
        read_into(target, memoryview(back), at + start, name)
        # Not as memoryviews, which Python compares number by number.
        if piece != back:
            raise ShardError(f"{name} reads otherwise than what was copied of it")
        yield memoryview(piece)


def copy_in_kernel(source: int, place: int, target: int, at: int, nbytes: int) -> int:
    """Return how many bytes copy_file_range copied; fewer where it cannot between these files."""
    done = 0
    while done < nbytes:
        try:
            got = os.copy_file_range(source, target, nbytes - done, place + done, at + done)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return done
            raise
        # The source's end, or a kernel that gives up quietly: copying by hand finds out which.
        if got == 0:
            return done
        done += got
    return done


def copy_by_hand(source: int, place: int, target: int, at: int, nbytes: int, name: str) -> None:
    """Copy through this process's memory, in bounded pieces."""
    for start in range(0, nbytes, _PIECE_BYTES):
        length = min(_PIECE_BYTES, nbytes - start)
        try:
            data = read_bytes(source, length, place + start, name)
        except ShardError as error:
            raise ShardError(f"{name} became shorter while it was copied") from error
        write_at(target, memoryview(data), at + start)
