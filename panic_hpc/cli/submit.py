"""`panic-hpc submit`: do, or let a scheduler do, what is not done yet."""

from pathlib import Path

import typer

from panic_hpc.cli.console.options import (
    ClusterName,
    DryRun,
    ExecutorName,
    Image,
    OtherNumerics,
    Root,
    Stages,
    Workers,
    Yes,
)
from panic_hpc.cli.submission import Asked, send

PANEL = ("The main job", 2)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(submit)


def submit(
    experiment: Root = Path("."),
    cluster: ClusterName = "local",
    executor: ExecutorName = "local",
    workers: Workers = 0,
    stage: Stages = None,
    image: Image = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    allow_other_numerics: OtherNumerics = False,
) -> None:
    """Work on every shard that is not completed, here or on a cluster; type it again to go on.

    Exit codes: 0 everything asked for is completed (or submitted), 1 an error, 3 some shards
    failed or wait, 85 stopped in a state from which the same command goes on.
    """
    from panic_hpc.planning.availability import refuse_unavailable
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    refuse_unavailable(workspace.manifest)
    stages = workspace.known_stages(stage or ())
    send(
        workspace,
        Asked(cluster, executor, workers, stages, image, dry_run, yes, allow_other_numerics),
    )
