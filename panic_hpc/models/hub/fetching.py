"""Bringing models into the cache: what is needed is told first, brought, and then proved."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.system import remove
from panic_hpc.errors import ModelError
from panic_hpc.models.hub import cache as hub_cache
from panic_hpc.models.hub import client as hub
from panic_hpc.models.hub.client import Report
from panic_hpc.models.hub.lock import LockedModel
from panic_hpc.models.hub.repository_files import INDEXES, files_read, read_index, size_of
from panic_hpc.types import ModelSpec


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one model needs of its repository: names and bytes, and which of them are not there."""

    spec: ModelSpec
    locked: LockedModel
    sizes: Mapping[str, int]
    absent: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all that loading the model reads."""
        return sum(self.sizes.values())

    @property
    def nbytes_absent(self) -> int:
        """Bytes that have to be brought."""
        return sum(self.sizes[name] for name in self.absent)


def plan_fetch(spec: ModelSpec, locked: LockedModel, cache: Path) -> Fetch:
    """Return what has to be brought; asks the hub for nothing but the repository's own index.

    Raises ModelError where the repository has nothing that could be loaded.
    """
    folder = hub_cache.snapshot_folder(locked.repository, locked.revision, cache)
    sizes = {file.name: file.size for file in locked.files}
    # Before anything is brought: what a fetch leaves behind is known as incomplete.
    hub_cache.record(locked, cache)
    hub.download(locked, [name for name in INDEXES if name in sizes], cache)
    variant, code = hub_cache.variant_of(spec), hub_cache.runs_code(spec)
    names = files_read(sizes, read_index(folder), variant, code)
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelError(
            f"{spec.repository} at {locked.revision} has no weights in safetensors, and others are "
            "not loaded",
            hint="Name a revision that has them",
        )
    absent = tuple(name for name in names if size_of(folder / name) != sizes[name])
    return Fetch(spec, locked, {name: sizes[name] for name in names}, absent)


def require_cache_space(fetches: list[Fetch], cache: Path) -> None:
    """Raise ModelError where what has to be brought does not fit on the cache's disk."""
    wanted = sum(one.nbytes_absent for one in fetches)
    make_any_directory(cache)
    free = shutil.disk_usage(cache).free
    if wanted > free:
        raise ModelError(
            f"{wanted / 1e9:.1f} GB have to be brought, and {cache} has {free / 1e9:.1f} GB free",
            hint="Set HF_HOME to a directory on a larger disk",
        )


def bring(fetch: Fetch, cache: Path, report: Report) -> None:
    """Bring what is absent, and check every file against the lock.

    Files that are not what the lock says are removed, so that the next attempt brings them anew.
    Raises ModelError that names them, or what the hub does not give.
    """
    locked = fetch.locked
    folder = hub_cache.snapshot_folder(locked.repository, locked.revision, cache)
    for name in fetch.absent:
        # A file of another size is a torn one, which the hub's client would take for whole.
        _remove(folder / name)
    hub.download(locked, fetch.absent, cache)
    if wrong := hub.verify(locked, fetch.absent, folder, report):
        for name in wrong:
            _remove(folder / name)
        raise ModelError(
            f"{locked.repository}: {', '.join(wrong)} came with another digest than the lock's, "
            "and was removed",
            hint="Type the same command again; if it stays so, the hub or the lock is wrong",
        )
    if left := hub_cache.problems(fetch.spec, cache):
        raise ModelError(f"{fetch.spec.name} cannot be loaded from {folder}: {'; '.join(left)}")


def _remove(path: Path) -> None:
    """Remove a file of a snapshot and the blob that it links to."""
    if path.is_symlink():
        remove(path.resolve())
    remove(path)
