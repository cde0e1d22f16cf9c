"""`panic-hpc cancel`: take jobs out of the queue, end local workers."""

from pathlib import Path

import typer

from panic_hpc.cli.console.options import Root, Stages, Yes
from panic_hpc.cli.console.output import say
from panic_hpc.plain_text import counted

PANEL = ("While it runs", 2)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(cancel)


def cancel(
    experiment: Root = Path("."),
    stage: Stages = None,
    yes: Yes = False,
) -> None:
    """Cancel what is submitted, of some stages or all; checkpoints stay, `submit` goes on."""
    from panic_hpc.backends.base import backends
    from panic_hpc.backends.status_query import query_status
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    stages = workspace.known_stages(stage or ())
    # One look for all: jobs from the scheduler, workers from their leases.
    found = query_status(workspace)
    active = [(backend, backend.active(found, stages)) for backend in backends().values()]
    if not any(ids for _, ids in active):
        say("Nothing is submitted.")
        return
    doomed = " and ".join(counted(len(ids), backend.noun) for backend, ids in active)
    if not yes:
        typer.confirm(f"Cancel {doomed}?", default=False, abort=True)
    for backend, ids in active:
        if ids:
            backend.cancel(workspace, ids)
    say(f"Cancelled {doomed}.")
