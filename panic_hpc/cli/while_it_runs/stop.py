"""`panic-hpc stop`: let workers leave after their next checkpoint, without signals."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.options import Root
from panic_hpc.errors import PanicError

PANEL = ("While it runs", 1)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(stop)


def stop(
    experiment: Root = Path("."),
    after_checkpoint: Annotated[
        bool, typer.Option("--after-checkpoint", help="As soon as each worker has written one.")
    ] = False,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="From then on: 2026-11-20T18:00, local time.")
    ] = "",
) -> None:
    """Ask every worker, here or in jobs, to stop; `submit` goes on and forgets the request."""
    from panic_hpc.cli.console.output import say
    from panic_hpc.paths import ExperimentPaths
    from panic_hpc.planning import manifest
    from panic_hpc.worker.stopper import write_halt
    from panic_hpc.workspace.process import user_name

    if after_checkpoint == bool(at):
        raise PanicError("Say when to stop", hint="Give --after-checkpoint or --at TIME")
    # Only to refuse a directory that is no experiment, before a file is put into it.
    manifest.read(experiment)
    write_halt(ExperimentPaths(experiment).halt, user_name(), parse_time(at) if at else None)
    say(f"Workers will stop {'from ' + at + ' on' if at else 'after their next checkpoint'}.")


def parse_time(text: str) -> float:
    """Return the moment that `text` (ISO 8601, local where it names no zone) means, epoch."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise PanicError(f"{text!r} is not a time", hint="Write 2026-11-20T18:00") from error
