"""Small files that are whole or absent: atomic writes, first-one-wins publishing, strict JSON."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
    path.parent.mkdir(parents=True, exist_ok=True)
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


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`; PanicError where it is absent, too large or not JSON."""
    try:
        if path.stat().st_size > JSON_LIMIT_BYTES:
            raise PanicError(f"{path} is larger than {JSON_LIMIT_BYTES} bytes")
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise PanicError(f"{path} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise PanicError(f"{path} cannot be read as JSON ({error})") from error
