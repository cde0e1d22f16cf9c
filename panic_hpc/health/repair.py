"""Repairing an experiment: files that are wrong are moved aside, to be computed again."""

from collections.abc import Iterable
from pathlib import Path

from panic_hpc import clock
from panic_hpc.disk.files import move_file
from panic_hpc.errors import PanicError
from panic_hpc.health.inconsistencies import QUARANTINE, Inconsistency
from panic_hpc.workspace.deletion import workers
from panic_hpc.workspace.workspace import Workspace


def movable(inconsistencies: Iterable[Inconsistency]) -> list[Path]:
    """Return the files that a repair would move away, each once."""
    return list(dict.fromkeys(path for one in inconsistencies for path in one.quarantine))


def quarantine(workspace: Workspace, files: Iterable[Path]) -> Path:
    """Move files below EXP/quarantine/<time>/, under their own paths; return that directory.

    Nothing is deleted or renumbered. PanicError while somebody works on the experiment.
    """
    if running := workers(workspace.paths):
        raise PanicError(
            f"{workspace.paths.root} is being worked on: {', '.join(running[:5])}",
            hint="Stop the work first: panic-hpc stop, or panic-hpc cancel",
        )
    root = workspace.paths.root
    target = root / QUARANTINE / clock.stamp()
    for path in files:
        move_file(path, target / path.relative_to(root))
    return target
