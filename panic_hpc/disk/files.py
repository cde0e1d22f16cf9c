"""Small files that are whole or absent: atomic writes, first-one-wins publishing, strict JSON."""

import errno
import hashlib
import json
import math
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, TextIO

from panic_hpc.disk import system
from panic_hpc.disk.publish import link_first, rename_over, replacing, temporary_file
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import AbsentError, PanicError

JSON_LIMIT_BYTES = 512 * 2**20


def replace_file(path: Path, content: bytes) -> None:
    """Make `content` the whole of `path`, atomically and durably, replacing what was there.

    DiskError where that fails; what was there stays then.
    """
    with replacing(path) as stream:
        stream.write(content)


def create_file(path: Path, content: bytes) -> bool:
    """Publish `content` as `path` if nobody has yet; True where this call was the one.

    Works by link(2) alone, which is atomic on NFS too; a retried link may report EEXIST although it
    succeeded, so the answer is the link count and not the error. DiskError where it fails.
    """
    with temporary_file(path) as temporary:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            system.sync(stream.fileno())
        with suppress(FileExistsError):
            system.link(temporary, path)
        created = temporary.stat().st_nlink == 2
        if created:
            system.sync_directory(path.parent)
        return created


def offer_file(path: Path, content: bytes) -> None:
    """Publish `content` as `path` unless something is there; DiskError where that fails.

    On file systems without links too, where of two at once the last one's may stand.
    """
    with temporary_file(path) as temporary:
        temporary.write_bytes(content)
        link_first(temporary, path)


def append_to(path: Path) -> TextIO:
    """Open a log to which lines are added, made where it is absent; DiskError where it cannot."""
    with system.named(path):
        return path.open("a")


def move_file(path: Path, place: Path) -> None:
    """Move a file durably within its file system; directories on the way are made."""
    with system.named(place):
        system.make_directories(place.parent)
        rename_over(path, place)
        system.sync_directory(path.parent)


def to_json(value: Any) -> bytes:
    """Return `value` as readable JSON bytes with a final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def without_nan(value: Any) -> Any:
    """Return a JSON value with None for what JSON cannot say; numpy's numbers are plain ones."""
    if isinstance(value, dict):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    if hasattr(value, "item"):
        return without_nan(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, *, limit: int = JSON_LIMIT_BYTES) -> Any:
    """Return the JSON value in `path`; PanicError where it is too large or not JSON.

    Where it is absent that is an AbsentError.
    """
    try:
        return parse_json(read_regular(path, limit))
    except FileNotFoundError as error:
        raise AbsentError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise PanicError(f"{path} cannot be read as JSON ({error})") from error


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes.

    Raises OSError where it cannot be read, ValueError where it is something else or larger.
    """
    descriptor = regular_descriptor(path)
    try:
        if os.fstat(descriptor).st_size > limit:
            raise ValueError(f"larger than {limit} bytes")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> BufferedReader:
    """Open a file that somebody named, to be read; OSError where it cannot, or is no regular file.

    Nothing is waited for, and nothing is read without end: a FIFO, a device or a socket is told.
    """
    try:
        return open(regular_descriptor(path), "rb")
    # The name of a file from a file may hold a NUL.
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None


def sha256_of(path: Path) -> str:
    """Return "sha256:…" of a file's bytes, a second for 0.5 to 1 GB; OSError where it cannot."""
    with open_regular(path) as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def version_of(file: Path | int) -> tuple[int, ...]:
    """Return what is another where a file, or that of a descriptor, was replaced or written to."""
    status = os.stat(file)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def regular_descriptor(path: Path) -> int:
    """Return a descriptor of a regular file; OSError where it cannot be read, else ValueError."""
    # Opening a FIFO for reading waits for a writer, else for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a regular file")
    return descriptor
