"""The calls that change a file system, one a function: nothing outside of `disk/` makes any.

They raise OSError. `named` makes that one sentence with the name of the file that was asked for,
which the system's own words may lack: a failed fsync has none.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from panic_hpc.errors import DiskError

_HINT = "Run the same command again; shards that failed: panic-hpc retry EXP"
_MAY_NOT_HINT = "Make that place writable for you, or name another one (-o), and type it again"
# Trying again helps nobody.
_MAY_NOT = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def named(path: Path) -> Iterator[Path]:
    """Turn an OSError into a DiskError that says that `path` could not be written, and why."""
    try:
        yield path
    except OSError as error:
        hint = _MAY_NOT_HINT if error.errno in _MAY_NOT else _HINT
        raise DiskError(f"{path} could not be written ({error})", hint=hint) from error


def temporary_beside(path: Path) -> Path:
    """Return an unused hidden name in `path`'s own directory, so that a rename stays atomic."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def create(path: Path, mode: int = 0o666) -> int:
    """Return the descriptor, for reading and writing, of a new file; FileExistsError for an old."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def open_existing(path: Path) -> int:
    """Return a descriptor for reading and writing a file that is there."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def sync(descriptor: int) -> None:
    """Make what was written durable.

    One that failed is not to be tried again: Linux tells of a failed write-back once, and a second
    fsync succeeds for pages that are lost.
    """
    os.fsync(descriptor)


def sync_data(descriptor: int) -> None:
    """Make the bytes of a file durable, whose size has been already."""
    os.fdatasync(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def missing_directories(directory: Path) -> list[Path]:
    """Return a directory and those above it that are not there, from below; usually none."""
    return list(takewhile(lambda one: not one.exists(), (directory, *directory.parents)))


def make_directories(directory: Path, mode: int = 0o777) -> None:
    """Make a directory, with `mode`, and those above it, durably; nothing where it is there."""
    missing = missing_directories(directory)
    directory.mkdir(mode, parents=True, exist_ok=True)
    # What is synced in a directory is lost with it, whose own name is its parent's to keep.
    for made in missing:
        # Who may write to a directory need not be allowed to read it, which a sync takes.
        with suppress(PermissionError):
            sync_directory(made.parent)


def make_read_only(path: Path) -> None:
    """Let nobody write to a file any more, by accident."""
    path.chmod(0o444)


def make_sticky(directory: Path) -> None:
    """Let only owners move and remove what is in a directory."""
    directory.chmod(directory.stat().st_mode | stat.S_ISVTX)


def link(path: Path, name: Path) -> None:
    """Give a file another name; FileExistsError where that is taken."""
    os.link(path, name)


def rename(path: Path, name: Path) -> None:
    """Give a file another name, atomically, in place of what has it."""
    os.replace(path, name)


def remove(path: Path) -> None:
    """Remove a name; nothing happens where there is none."""
    with suppress(FileNotFoundError):
        path.unlink()


def remove_empty(directory: Path) -> bool:
    """Remove a directory that is empty; return whether that was done."""
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


def remove_tree(path: Path) -> None:
    """Remove a file, or a directory with all that is in it; of a link only the link.

    Others may remove some of it meanwhile.
    """
    while path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
    remove(path)
