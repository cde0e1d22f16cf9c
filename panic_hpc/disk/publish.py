"""Making a finished file visible: synced, and under its name at once or not at all."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from panic_hpc import clock
from panic_hpc.disk import system
from panic_hpc.disk.directories import make_directory

# Wide, since the time of last writing is by the file server's clock and not by this node's.
STALE_S = 3600.0
# What file systems without hard links answer.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


def remove_stale(path: Path) -> list[Path]:
    """Remove what killed writers of `path` left beside it: not written to for STALE_S.

    Returns what is younger and stays: somebody may be writing it.
    """
    # Not a glob: the name may hold its wildcards, which would mean other people's files.
    left_name = re.compile(rf"\.{re.escape(path.name)}\.\d+-[0-9a-f]{{8}}\.tmp")
    young = []
    for left in [one for one in path.parent.iterdir() if left_name.fullmatch(one.name)]:
        with suppress(FileNotFoundError):
            if clock.now() - left.stat().st_mtime > STALE_S:
                system.remove(left)
            else:
                young.append(left)
    return young


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to build in; whatever is left there is removed in the end.

    Any OSError meanwhile is a DiskError that names `path`.
    """
    with system.named(path):
        make_directory(path.parent)
        temporary = system.temporary_beside(path)
        try:
            yield temporary
        finally:
            system.remove(temporary)


@contextmanager
def temporary_directory(path: Path, prefix: str) -> Iterator[Path]:
    """Give a directory beside `path` to build in, and remove it in the end.

    Temporary space may be small, or memory, and files of two file systems share no blocks.
    """
    with system.named(path):
        system.make_directories(path.parent)
        with TemporaryDirectory(dir=path.parent, prefix=prefix) as directory:
            yield Path(directory)


@contextmanager
def replacing(path: Path, *, is_durable: bool = True) -> Iterator[BinaryIO]:
    """Give a stream whose bytes are the whole of `path` once the block ends without an error.

    Until then, and after an error or a kill, what was there stays. A link is replaced, never
    written through. What is not durable is not synced, which takes longer than a small file.
    """
    with temporary_file(path) as temporary:
        with temporary.open("x+b") as stream:
            yield stream
            stream.flush()
            if is_durable:
                system.sync(stream.fileno())
        if is_durable:
            rename_over(temporary, path)
        else:
            system.rename(temporary, path)


def publish_first(temporary: Path, path: Path) -> bool:
    """Give `temporary` the name `path` unless that is taken; True where this call did it.

    It becomes read-only. DiskError where it cannot.
    """
    with system.named(path):
        system.make_read_only(temporary)
        return link_first(temporary, path)


def link_first(temporary: Path, path: Path) -> bool:
    """Give `temporary` the name `path` too, durably, unless that is taken; True where this did it.

    Works by link(2), which is atomic on NFS too; file systems without links get a rename, which a
    lease on the shard keeps from racing.
    """
    try:
        system.link(temporary, path)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return _rename_first(temporary, path)
        if error.errno != errno.EEXIST:
            raise
    # Asked of the file: NFS can repeat a call whose answer was lost, and report its own link as
    # EEXIST.
    created = temporary.stat().st_nlink == 2
    system.sync_directory(path.parent)
    return created


def _rename_first(temporary: Path, path: Path) -> bool:
    if os.path.lexists(path):
        return False
    rename_over(temporary, path)
    return True


def publish_over(temporary: Path, path: Path) -> None:
    """Give `temporary` the name `path`, replacing what was there; who reads that keeps it.

    It becomes read-only. DiskError where it cannot.
    """
    with system.named(path):
        system.make_read_only(temporary)
        rename_over(temporary, path)


def rename_over(path: Path, name: Path) -> None:
    """Give a file another name, durably, in place of what has it."""
    system.rename(path, name)
    system.sync_directory(name.parent)
