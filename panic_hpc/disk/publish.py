"""Making a finished file visible: synced, read-only, and under its name at once or not at all."""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from panic_hpc.disk.directories import make_directory
from panic_hpc.disk.files import fsync_directory, temporary_beside
from panic_hpc.errors import DiskError

# Wide, since the time of last writing is by the file server's clock and not by this node's.
STALE_S = 3600.0
# What file systems without hard links answer.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


def remove_stale(path: Path) -> None:
    """Remove what killed writers of `path` left beside it: not written to for STALE_S."""
    # Not a glob: the name may hold its wildcards, which would mean other people's files.
    left_name = re.compile(rf"\.{re.escape(path.name)}\.\d+-[0-9a-f]{{8}}\.tmp")
    for left in [one for one in path.parent.iterdir() if left_name.fullmatch(one.name)]:
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to build in; whatever is left there is removed in the end."""
    make_directory(path.parent)
    temporary = temporary_beside(path)
    try:
        yield temporary
    except OSError as error:
        raise DiskError(
            f"{path} could not be written ({error})",
            hint="Run the same command again",
        ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def publish_first(temporary: Path, path: Path) -> bool:
    """Give `temporary` the name `path` unless that is taken; True where this call did it.

    Works by link(2) like `files.create_file`; file systems without links get a rename, which a
    lease on the shard keeps from racing.
    """
    temporary.chmod(0o444)
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return _rename_first(temporary, path)
        if error.errno != errno.EEXIST:
            raise
    # Asked of the file: NFS can repeat a call whose answer was lost, and report its own link as
    # EEXIST.
    created = temporary.stat().st_nlink == 2
    fsync_directory(path.parent)
    return created


def _rename_first(temporary: Path, path: Path) -> bool:
    if path.exists():
        return False
    os.rename(temporary, path)
    fsync_directory(path.parent)
    return True


def publish_over(temporary: Path, path: Path) -> None:
    """Give `temporary` the name `path`, replacing what was there; who reads that keeps it."""
    temporary.chmod(0o444)
    os.replace(temporary, path)
    fsync_directory(path.parent)
