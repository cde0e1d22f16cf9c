"""`panic-hpc cancel`: take jobs out of the queue, end local workers."""

from pathlib import Path

import typer

from panic_hpc.cli.console.options import Root, Stages, Yes
from panic_hpc.cli.console.output import counted, say

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
    from panic_hpc.backends.slurm import cancel
    from panic_hpc.backends.slurm.status_query import query_status
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    stages = workspace.known_stages(stage or ())
    # One look for both: jobs from the scheduler, workers from their leases.
    found = query_status(workspace)
    jobs = cancel.active_jobs(found, stages)
    pids = cancel.local_workers(found, stages)
    if not jobs and not pids:
        say("Nothing is submitted.")
        return
    doomed = f"{counted(len(jobs), 'job')} and {counted(len(pids), 'local worker')}"
    if not yes:
        typer.confirm(f"Cancel {doomed}?", default=False, abort=True)
    cancel.cancel(workspace, jobs, pids)
    say(f"Cancelled {doomed}.")
