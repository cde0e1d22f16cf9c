"""Making directories, yet never an experiment's own: that is `plan`'s alone.

An experiment that is moved or deleted while workers run must not come back without a manifest, with
shards that nobody looks for.
"""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile

from panic_hpc.disk.system import make_directories, missing_directories, named
from panic_hpc.errors import ManifestError

WORK = frozenset({"shards", "checkpoints", "failed", "remarks", "jobs"})
"""The directories that lie in an experiment's own."""


def make_directory(directory: Path) -> None:
    """Make a directory and those above it; ManifestError where that would make an experiment's."""
    missing = missing_directories(directory)
    # The topmost that is missing may be one of WORK, in an experiment that is there.
    for inner, outer in pairwise(missing):
        if inner.name in WORK:
            raise ManifestError(
                f"{outer} is gone: it was moved or deleted while it was worked on",
                hint=f"Submit it again where it is now; nothing was written to {outer}",
            )
    with named(directory):
        make_directories(directory)


def make_any_directory(directory: Path) -> None:
    """Make a directory that a user named, and those above it; DiskError where that fails."""
    with named(directory):
        make_directories(directory)


def require_writable(directory: Path) -> None:
    """Raise OSError where no file can be made in a directory.

    Really made: permissions tell nothing of quotas, root squash or a read-only mount.
    """
    with TemporaryFile(dir=directory):
        pass
