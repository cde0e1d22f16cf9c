"""`panic-hpc delete`: remove an experiment and everything it produced."""

from typing import Annotated

import typer

from panic_hpc.cli.console.options import Root, Yes

PANEL = ("Experiments", 2)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(delete)


def delete(
    experiment: Root,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and stop.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete shards that a dataset refers to, too.")
    ] = False,
) -> None:
    """Delete an experiment: its manifest, shards, checkpoints, jobs, dataset and report.

    Asks first, and refuses while shards are being worked on, or where a dataset above the directory
    has its pictures in them (merge --images reference). Files that are not the experiment's stay,
    and so does the directory then.
    """
    from panic_hpc.cli.console.output import say
    from panic_hpc.paths import ExperimentPaths
    from panic_hpc.plain_text import size
    from panic_hpc.workspace import deletion

    # With --dry-run too, it refuses where somebody works.
    doomed = deletion.plan_deletion(experiment, force=force)
    for path in doomed.paths:
        say(f"  {path}")
    say(f"{doomed.n_files} files, {size(doomed.nbytes)}")
    if (votes := ExperimentPaths(experiment).votes) in doomed.paths:
        say(f"What people voted cannot be computed again: copy {votes} first to keep it")
    if dry_run:
        return
    if not yes:
        typer.confirm(f"Delete the experiment in {experiment}?", abort=True)
    gone = deletion.delete(experiment, doomed)
    say(f"Deleted {experiment}" if gone else f"Deleted; {experiment} holds other files and stays")
