"""`panic-hpc cancel`: take jobs out of the queue, end local workers."""

from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(cancel)


def cancel(
    experiment: Annotated[Path, typer.Argument(metavar="EXP")] = Path("."),
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="Only this one (repeatable).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
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
    if not yes:
        question = f"Cancel {len(jobs)} jobs and {len(pids)} local workers?"
        typer.confirm(question, default=False, abort=True)
    cancelling.cancel(opened, jobs, pids)
    say(f"Cancelled {len(jobs)} jobs and {len(pids)} local workers.")
