"""`panic-hpc submit`: do, or let a scheduler do, what is not done yet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console import warn

if TYPE_CHECKING:
    from panic_hpc.execution.status import Status

EXIT_INCOMPLETE = 3

Root = Annotated[Path, typer.Argument(metavar="EXP", help="The experiment's directory.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(submit)


def submit(
    experiment: Root = Path("."),
    executor: Annotated[
        str, typer.Option(help="local: worker processes here; inline: this process.")
    ] = "local",
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes; 0: one a GPU, else one a core.")
    ] = 0,
    stage: Annotated[list[str] | None, typer.Option(help="Only this stage (repeatable).")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try failed shards again too.")] = False,
    allow_other_numerics: Annotated[
        bool,
        typer.Option(
            "--allow-other-numerics", help="Continue checkpoints of another kind of machine."
        ),
    ] = False,
) -> None:
    """Work on every shard that is not completed; type it again to go on.

    Exit codes: 0 everything asked for is completed, 1 an error, 3 some shards failed or wait,
    85 stopped in a state from which the same command goes on.
    """
    from panic_hpc.cli.progress import watcher
    from panic_hpc.execution import launch
    from panic_hpc.execution.availability import refuse_unavailable
    from panic_hpc.execution.experiment import open_experiment

    opened = open_experiment(experiment)
    refuse_unavailable(opened.manifest)
    options = launch.LocalOptions(
        executor=launch.executor_name(executor),
        workers=workers,
        stages=opened.known_stages(stage or ()),
        retry=retry,
        allow_other_numerics=allow_other_numerics,
    )
    if launch.clear_halt(opened):
        warn("There was a request to stop; it is withdrawn by this submission.")
    with watcher() as shown:
        state = launch.submit_locally(opened, options, shown)
    _conclude(state, options.stages)


def _conclude(state: "Status", stages: tuple[str, ...]) -> None:
    left = [one for one in state.all() if one.state != "completed" and one.shard.stage in stages]
    failed = [one for one in left if one.state == "failed"]
    for one in failed[:5]:
        warn(f"{one.name} failed: {one.detail}")
    if failed:
        warn(f"{len(failed)} shards failed. `panic-hpc status` lists them, `retry` tries again")
    if left:
        raise typer.Exit(EXIT_INCOMPLETE)
