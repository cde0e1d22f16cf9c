"""Small files that are whole or absent: atomic writes, first-one-wins publishing, strict JSON."""

import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from panic_hpc.disk.directories import make_directory
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import PanicError

JSON_LIMIT_BYTES = 512 * 2**20


def temporary_beside(path: Path) -> Path:
    """Return an unused hidden name in `path`'s own directory, so that a rename stays atomic."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def fsync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written_temporary(path: Path, content: bytes) -> Iterator[Path]:
    make_directory(path.parent)
    temporary = temporary_beside(path)
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Make `content` the whole of `path`, atomically and durably, replacing what was there."""
    with _written_temporary(path, content) as temporary:
        os.replace(temporary, path)
        fsync_directory(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Publish `content` as `path` if nobody has yet; True where this call was the one.

    Works by link(2), which is atomic on NFS too; a retried link may report EEXIST although it
    succeeded, so the answer is the link count and not the error.
    """
    with _written_temporary(path, content) as temporary:
        with suppress(FileExistsError):
            os.link(temporary, path)
        created = temporary.stat().st_nlink == 2
        if created:
            fsync_directory(path.parent)
        return created


def to_json(value: Any) -> bytes:
    """Return `value` as readable JSON bytes with a final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path, *, limit: int = JSON_LIMIT_BYTES) -> Any:
    """Return the JSON value in `path`; PanicError where it is absent, too large or not JSON."""
    try:
        return parse_json(read_regular(path, limit))
    except FileNotFoundError as error:
        raise PanicError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise PanicError(f"{path} cannot be read as JSON ({error})") from error


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes.

    Raises OSError where it cannot be read, ValueError where it is something else or larger.
    """
    # Opening a FIFO for reading waits for a writer, else for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > limit:
            raise ValueError(f"larger than {limit} bytes")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)
