"""Progress bars on a terminal, nothing elsewhere: counted in bytes or in things."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from panic_hpc.cli.console.output import err

Report = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Report to nobody."""


@contextmanager
def byte_bar(label: str, wanted: bool = True) -> Iterator[Report]:
    """Give a function of (bytes done, bytes in all) that moves a bar labelled `label`."""
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bar(label, wanted, DownloadColumn(), TransferSpeedColumn()) as report:
        yield report


@contextmanager
def count_bar(label: str) -> Iterator[Report]:
    """Give a function of (things done, things in all) that moves a bar labelled `label`."""
    from rich.progress import MofNCompleteColumn

    with _bar(label, True, MofNCompleteColumn()) as report:
        yield report


@contextmanager
def _bar(label: str, wanted: bool, *columns: Any) -> Iterator[Report]:
    # Bars in a job's log would be a line a second.
    if not (wanted and sys.stderr.isatty()):
        yield ignore
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    description = TextColumn("{task.description}", markup=False)
    with Progress(description, BarColumn(), *columns, TimeRemainingColumn(), console=err) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
