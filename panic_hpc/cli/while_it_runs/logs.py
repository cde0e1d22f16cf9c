"""`panic-hpc logs`: what the workers of one shard wrote."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.options import Root
from panic_hpc.cli.console.output import say, warn
from panic_hpc.errors import PanicError

PANEL = ("While it runs", 0)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(logs)


def logs(
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="Stage and number: runs_42.")],
    experiment: Root = Path("."),
    lines: Annotated[int, typer.Option(min=0, help="The last lines; 0 for all.")] = 0,
    path_only: Annotated[bool, typer.Option("--path", help="Print where the logs are.")] = False,
) -> None:
    """Print the log of a shard's last attempt, the oldest file first where it had several."""
    from panic_hpc.backends.status_query import parse_shard
    from panic_hpc.workspace.logs import log_tail, logs_of
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    paths = logs_of(workspace, parse_shard(workspace, shard))
    if not paths:
        raise PanicError(
            f"{shard} has no log",
            hint="It was not started, was worked on inline, or is another user's",
        )
    # Names to standard error, so that the log itself can be piped.
    for path in paths:
        if path_only:
            say(str(path))
            continue
        warn(f"== {path}")
        text = log_tail(path, sys.maxsize)
        say("\n".join(text.splitlines()[-lines:] if lines else text.splitlines()))
