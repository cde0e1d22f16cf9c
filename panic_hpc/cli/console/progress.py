"""How a submission's progress is shown: bars on a terminal, a line a stage anywhere else."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from panic_hpc.cli.console.output import err, literal, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from panic_hpc.workspace.status import Status


class Lines:
    """A line when a stage begins and when it is over."""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """Nothing to clean up."""

    def begin(self, stage: str, total: int, completed: int) -> None:
        """Say what will be done."""
        if completed < total:
            say(f"{stage}: {total - completed} of {total} shards to do")

    def advance(self, stage: str, completed: float, failed: int) -> None:
        """Say nothing: this is for logs."""

    def tell(self, line: str) -> None:
        """Say it."""
        say(line)

    def end(self, stage: str, state: "Status") -> None:
        """Say what came of it."""
        if state.stages[stage]:
            say(state.summary(stage))


class Bars:
    """A bar a stage with rate and time left."""

    def __init__(self) -> None:
        self._progress = _progress()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, stage: str, total: int, completed: int) -> None:
        """Open the stage's bar."""
        task = self._progress.add_task(stage, total=total, completed=completed, note="")
        self._tasks[stage] = task

    def advance(self, stage: str, completed: float, failed: int) -> None:
        """Move the bar."""
        note = f"{failed} failed" if failed else ""
        self._progress.update(self._tasks[stage], completed=completed, note=note)

    def tell(self, line: str) -> None:
        """Say it above the bars."""
        say(line)

    def end(self, stage: str, state: "Status") -> None:
        """Leave the bar where the stage ended."""
        counts = state.counts(stage)
        self.advance(stage, counts["completed"], counts["failed"])


def watcher() -> Bars | Lines:
    """Return bars on a terminal, lines elsewhere."""
    # Bars go to standard error, so it decides; standard output may be a file.
    return Bars() if sys.stderr.isatty() else Lines()


def _progress() -> "Progress":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> "object":  # type: ignore[override]
            speed = task.finished_speed or task.speed
            return literal(f"{speed * 60:.1f}/min" if speed else "")

    return Progress(
        TextColumn("{task.description:>10}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="red", markup=False),
        console=err,
    )
