"""What a verb may write over: never what it reads, never an experiment's work, the rest if told to.

`refusal` decides, from facts alone; `admit` collects the facts and raises. Every verb that writes
where its user says asks `admit` first, and those that work for long ask again before publishing.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.errors import PanicError
from panic_hpc.paths import ExperimentPaths

Recognise = Callable[[Path], bool]
"""Says of a regular file whether the same verb made it for the same experiments."""

_HEADS = {b"SQLite format 3\0": "an SQLite database", b"\x89HDF\r\n\x1a\n": "an HDF5 file"}


@dataclass(frozen=True, slots=True)
class Occupant:
    """What stands where an output is to go.

    kind: "nothing", "file", "directory", or "other" for devices, pipes and sockets.
    what: the thing in words for people.
    source: the input that it is, by whatever name; None where it is none.
    experiment: the directory of the experiment whose work it is or would lie in; None for none.
    is_own: whether the same verb made it for the same experiments.
    """

    kind: str
    what: str = ""
    source: Path | None = None
    experiment: Path | None = None
    is_own: bool = False


def refusal(target: Path, occupant: Occupant, force: bool) -> PanicError | None:
    """Return why `target` must not be written, None where it may be."""
    if occupant.source is not None:
        name = "" if str(occupant.source) == str(target) else f" ({occupant.source})"
        return PanicError(
            f"{target} is an input of this command{name}, which it never replaces",
            hint="Name another place",
        )
    if occupant.experiment is not None:
        return PanicError(
            f"{target} lies among the shards and records of the experiment {occupant.experiment}",
            hint="Name a place outside of these with -o",
        )
    if occupant.kind == "directory":
        return PanicError(f"{target} is a directory", hint="Name a file in it with -o")
    if occupant.kind == "other":
        return PanicError(f"{target} is no regular file", hint="Name another place")
    if occupant.kind == "file" and not (occupant.is_own or force):
        return PanicError(
            f"{target} is there already and would be replaced: {occupant.what}",
            hint="Type the command again with --force to replace it, or name another place",
        )
    return None


def admit(
    target: Path,
    inputs: Sequence[Path],
    *,
    force: bool = False,
    is_own: Recognise = lambda path: False,
) -> None:
    """Raise PanicError where a file must not be written at `target` by who reads `inputs`."""
    if error := refusal(target, _look(target, inputs, is_own), force):
        raise error


def admit_directory(directory: Path, inputs: Sequence[Path], *, force: bool = False) -> None:
    """Raise PanicError where files must not be written into `directory`, one with other things."""
    found = _look(directory, inputs, lambda path: False)
    if found.kind == "file":
        raise PanicError(f"{directory} is a file", hint="Name a directory with -o")
    if found.kind == "directory":
        names = sorted(os.listdir(directory))
        what = f"files in it of the same names (it holds {names[0]!r}, say)" if names else ""
        found = Occupant("file" if names else "nothing", what, found.source, found.experiment)
    if error := refusal(directory, found, force):
        raise error


def _look(target: Path, inputs: Sequence[Path], is_own: Recognise) -> Occupant:
    kind = _kind(target)
    real = Path(os.path.realpath(target))
    source = _same_file(target, inputs)
    # The place itself too: a link there is what would be replaced, not what it leads to.
    beside = Path(os.path.realpath(target.parent)) / target.name
    experiment = _experiment_of(real) or _experiment_of(beside)
    if kind != "file" or source or experiment:
        return Occupant(kind, "", source, experiment)
    return Occupant(kind, _described(target), is_own=target.is_file() and is_own(target))


def _kind(target: Path) -> str:
    if not os.path.lexists(target):
        return "nothing"
    if target.is_dir():
        return "directory"
    # A link that leads nowhere is somebody's link.
    return "file" if target.is_file() or not os.path.exists(target) else "other"


def _same_file(target: Path, inputs: Sequence[Path]) -> Path | None:
    """Return the input that `target` is, by whatever name; what is not there is none."""
    there = _identity(target)
    return next((path for path in inputs if there and _identity(path) == there), None)


def _identity(path: Path) -> tuple[int, int] | None:
    # Device and inode, links followed: hard links and bind mounts have other real paths.
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _experiment_of(place: Path) -> Path | None:
    """Return the experiment among whose work `place` lies, there or not."""
    for root in place.parents:
        paths = ExperimentPaths(root)
        is_experiment = os.path.exists(paths.manifest) and os.path.exists(paths.prompts)
        if is_experiment and any(place.is_relative_to(part) for part in paths.work):
            return root
    return None


def _described(target: Path) -> str:
    try:
        size = target.stat().st_size
        with target.open("rb") as stream:
            head = stream.read(16)
    except OSError:
        return f"a link to {os.readlink(target)}" if target.is_symlink() else "a file"
    kind = next((name for start, name in _HEADS.items() if head.startswith(start)), "a file")
    return f"{kind} of {size} bytes"
