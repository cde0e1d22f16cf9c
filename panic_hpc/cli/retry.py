"""`panic-hpc retry`: failed and lost shards again, and what waits for them."""

from pathlib import Path

import typer

from panic_hpc.cli.submit import (
    ClusterName,
    DryRun,
    ExecutorName,
    Image,
    OtherNumerics,
    Root,
    Stages,
    Workers,
    Yes,
    send,
    slurm_options,
    work_here,
)


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
    dry_run: DryRun = False,
    yes: Yes = False,
    allow_other_numerics: OtherNumerics = False,
) -> None:
    """Try failed and lost shards again; a record of failure goes when its shard is completed.

    On a cluster, shards that died of memory get twice as much, nodes on which shards failed
    repeatedly are left out, and jobs that wait for failed ones for ever are cancelled first.
    """
    from panic_hpc.execution.experiment import open_experiment
    from panic_hpc.execution.launch import LocalOptions, executor_name

    opened = open_experiment(experiment)
    stages = opened.known_stages(stage or ())
    if cluster == "local":
        kind = executor_name(executor)
        local = LocalOptions(kind, workers, stages, True, allow_other_numerics)
        return work_here(opened, local, dry_run=dry_run)
    options = slurm_options(
        opened, cluster, stages, image, retry=True, allow_other_numerics=allow_other_numerics
    )
    return send(opened, options, dry_run=dry_run, yes=yes)
