"""`panic-hpc retry`: failed and lost shards again, and what waits for them."""

from pathlib import Path
from typing import Annotated

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

PANEL = ("While it runs", 3)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(retry)


def retry(
    experiment: Root = Path("."),
    cluster: ClusterName = "local",
    executor: ExecutorName = "local",
    workers: Workers = 0,
    stage: Stages = None,
    image: Image = "",
    any_node: Annotated[
        bool, typer.Option("--any-node", help="Leave out no node, whatever failed there.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    allow_other_numerics: OtherNumerics = False,
) -> None:
    """Try failed and lost shards again; a record of failure goes when its shard is completed.

    On a cluster, shards that died of memory get twice as much, nodes on which shards failed
    repeatedly are left out, and jobs that wait for failed ones for ever are cancelled first.
    """
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    stages = workspace.known_stages(stage or ())
    asked = Asked(
        cluster, executor, workers, stages, image, dry_run, yes, allow_other_numerics,
        retry=True, any_node=any_node,
    )  # fmt: skip
    send(workspace, asked)
