"""`panic-hpc cancel`: take jobs out of the queue, end local workers."""

from pathlib import Path

import typer

from panic_hpc.cli.console import counted, say
from panic_hpc.cli.options import Root, Stages, Yes


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(cancel)


def cancel(
    experiment: Root = Path("."),
    stage: Stages = None,
    yes: Yes = False,
) -> None:
    """Cancel what is submitted, of some stages or all; checkpoints stay, `submit` goes on."""
    from panic_hpc.execution import cancelling
    from panic_hpc.execution.experiment import open_experiment
    from panic_hpc.execution.inquiry import inquire

    opened = open_experiment(experiment)
    stages = opened.known_stages(stage or ())
    # One look for both: jobs from the scheduler, workers from their claims.
    found = inquire(opened)
    jobs = cancelling.active_jobs(found, stages)
    pids = cancelling.local_workers(found, stages)
    if not jobs and not pids:
        say("Nothing is submitted.")
        return
    doomed = f"{counted(len(jobs), 'job')} and {counted(len(pids), 'local worker')}"
    if not yes:
        typer.confirm(f"Cancel {doomed}?", default=False, abort=True)
    cancelling.cancel(opened, jobs, pids)
    say(f"Cancelled {doomed}.")
