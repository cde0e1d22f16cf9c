"""Deleting an experiment: what is there, whether somebody still works on it, and the act."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from panic_hpc import clock
from panic_hpc.disk.system import remove_empty, remove_tree
from panic_hpc.errors import PanicError
from panic_hpc.paths import DATASET, ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.workspace.leases import seen


@dataclass(frozen=True, slots=True)
class Doomed:
    """What would be deleted: the paths that are there, in order, and their files and bytes."""

    paths: tuple[Path, ...]
    n_files: int
    nbytes: int


def plan_deletion(root: Path, *, force: bool = False) -> Doomed:
    """Return what belongs to the experiment in `root`; other people's files are not in it.

    Raises ManifestError where `root` holds no experiment, PanicError where shards are being worked
    on, or without `force` where a dataset that would stay has its pictures in them. A damaged
    manifest is no obstacle.
    """
    paths = ExperimentPaths(root)
    if not paths.manifest.exists():
        # For its error, which says why this is no experiment.
        manifest.read_document(root)
    if running := workers(paths):
        raise PanicError(
            f"{root} is being worked on: {_listed(running)}",
            hint="Stop the work first (panic-hpc stop, or panic-hpc cancel), then delete",
        )
    # A dangling link does not exist() and would stay behind.
    there = tuple(path for path in paths.all if path.exists() or path.is_symlink())
    if locked := [directory for path in there for directory in _locked(path)]:
        raise PanicError(
            f"{root} has directories in which this user may not delete: {_listed(locked)}",
            hint="Ask their owners to delete them first; nothing was deleted",
        )
    if not force and (referring := datasets_referring_to(there)):
        raise PanicError(
            f"{_listed([str(path) for path in referring])} would lose pictures, which stayed in "
            f"the shards of {root}",
            hint=f"Bring these in first: panic-hpc dataset pack {referring[0]}; or type the "
            "command again with --force to lose them",
        )
    sizes = list(_sizes(there))
    return Doomed(there, len(sizes), sum(sizes))


def delete(root: Path, doomed: Doomed) -> bool:
    """Delete what was planned, the manifest last; True where the directory is gone too."""
    # As long as the manifest is there, a deletion that was cut short can be typed again.
    for path in doomed.paths:
        remove_tree(path)
    # Not the tree: what else lies here is not the experiment's.
    return remove_empty(root)


def datasets_referring_to(doomed: Sequence[Path]) -> list[Path]:
    """Return the datasets, not doomed themselves, that refer to files among or below `doomed`.

    A dataset refers to files below its own folder only, so that none lies elsewhere than in the
    folders above. One that this user may not read is not known.
    """
    # Of a link only the link goes, and references lead to what is behind it.
    places = [Path(os.path.realpath(path)) for path in doomed if not path.is_symlink()]
    folders = dict.fromkeys(folder for place in places for folder in place.parents)
    candidates = [path for folder in folders for path in _perhaps_datasets(folder)]
    return [path for path in candidates if path not in places and _refers(path, places)]


def _perhaps_datasets(folder: Path) -> list[Path]:
    """Return the files of a folder that are called like datasets, or have a digest beside them."""
    try:
        with os.scandir(folder) as found:
            names = {one.name for one in found if one.is_file(follow_symlinks=False)}
    except OSError:
        return []
    return sorted(
        folder / name
        for name in names
        if name.endswith(Path(DATASET).suffix) or f"{name}.digest" in names
    )


def _refers(path: Path, places: Sequence[Path]) -> bool:
    # Here, so that h5py is loaded only where there is a dataset.
    from panic_hpc.store.dataset.dataset import open_dataset

    try:
        with open_dataset(path) as dataset:
            references = dataset.file.references
    except (PanicError, OSError):
        return False
    if references is None:
        return False
    files = (references.folder / one for one in dict.fromkeys(references.paths))
    return any(file.is_relative_to(place) for file in files for place in places)


def workers(paths: ExperimentPaths) -> list[str]:
    """Return the names of the shards that a process holds a lease on which may be alive."""
    # The scheduler is not asked: a job that is still queued finds no manifest and ends.
    return sorted(path.stem for path in paths.leases.glob("*.json") if _is_held(path))


def _is_held(path: Path) -> bool:
    found = seen(path, None, clock.now())
    return found is not None and found[1] == "held"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _locked(path: Path) -> list[str]:
    """Return the directories in a tree from which this user may remove nothing."""
    found = [] if _may_empty(path.parent) else [str(path.parent)]
    if path.is_dir() and not path.is_symlink():
        found += [str(path)] if not _may_empty(path) and os.access(path, os.R_OK) else []
        # A directory that cannot be listed is told by walk alone.
        unlisted: list[OSError] = []
        for directory, names, _ in os.walk(path, onerror=unlisted.append):
            found += [
                inner for name in names
                if not _may_empty(Path(inner := os.path.join(directory, name)))
            ]  # fmt: skip
        found += [str(error.filename) for error in unlisted if str(error.filename) not in found]
    return list(dict.fromkeys(found))


def _may_empty(directory: Path) -> bool:
    """Say whether this user may remove what lies in a directory; others' files in a sticky one not.

    An empty directory of another user's can be removed by whoever may write above it.
    """
    if os.path.islink(directory):
        return True
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return False
    try:
        status = directory.stat()
    except FileNotFoundError:
        return True
    is_mine = os.geteuid() in (0, status.st_uid)
    return is_mine or not status.st_mode & stat.S_ISVTX


def _sizes(paths: Iterable[Path]) -> Iterator[int]:
    """Yield the sizes of all files in trees; temporaries and the like may go meanwhile."""
    for path in paths:
        is_tree = path.is_dir() and not path.is_symlink()
        files = (Path(directory, name) for directory, _, names in os.walk(path) for name in names)
        for file in files if is_tree else (path,):
            with suppress(FileNotFoundError):
                yield file.lstat().st_size
