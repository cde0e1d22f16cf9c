"""A progress bar counted in bytes: on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from panic_hpc.cli.console import err

Report = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Report to nobody."""


@contextmanager
def byte_bar(label: str, wanted: bool = True) -> Iterator[Report]:
    """Give a function of (bytes done, bytes in all) that moves a bar labelled `label`."""
    if not (wanted and sys.stderr.isatty()):
        yield ignore
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
