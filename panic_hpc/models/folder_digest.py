"""The identity of a local folder of weights: a digest of its file names and contents."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from panic_hpc.disk.files import open_regular
from panic_hpc.errors import ModelError

PREFIX = "sha256:"


def folder_digest(folder: Path) -> str:
    """Return "sha256:…" over the sorted relative names and the contents of a folder's files.

    Hidden files and folders (a download's bookkeeping) do not count; links are followed, so a copy
    of a cached snapshot has the snapshot's digest. Raises ModelError where nothing can be read.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
    if not names:
        raise ModelError(f"{folder} is not a folder with files in it")
    whole = hashlib.sha256()
    for name in names:
        # The line of sha256sum, so that a folder can be checked without this package.
        whole.update(f"{_file_digest(folder / name)}  ".encode() + os.fsencode(name) + b"\n")
    return PREFIX + whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for root, directories, names in os.walk(folder, onerror=_refuse, followlinks=True):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in directories:
            _require_no_way_back(Path(root, name))
        yield from (Path(root, name) for name in names if not name.startswith("."))


def _require_no_way_back(path: Path) -> None:
    """Raise where a link leads to a folder that was gone through to it."""
    # The system ends a circle after forty links: two of them in a folder make 2**40 paths.
    if path.is_symlink() and path.resolve() in [outer.resolve() for outer in path.parents]:
        raise ModelError(f"{path} is a link to a folder that it lies in", hint="Remove it")


def _refuse(error: OSError) -> None:
    """Raise where os.walk would pass over what it cannot list, and the digest be of the rest."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise ModelError(f"{error.filename} cannot be read ({error.strerror})") from error


def _file_digest(path: Path) -> str:
    try:
        with open_regular(path) as stream:
            # About a second a GB on one core; done at plan and at every load.
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error})") from error
