"""`panic-hpc worker`: what a job runs, for schedulers that panic_hpc does not submit to itself."""

from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.errors import PanicError

PANEL = ("For batch scripts", 0)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(worker)


def worker(
    experiment: Annotated[Path, typer.Argument(metavar="EXP")],
    stage: Annotated[str, typer.Argument()],
    numbers: Annotated[
        list[int] | None, typer.Argument(min=0, help="Shards, by number; all where none is given.")
    ] = None,
    allow_other_numerics: Annotated[bool, typer.Option("--allow-other-numerics")] = False,
) -> None:
    """Work on shards of one stage that nobody else does.

    Exit codes: 0 done, 1 some failed, 85 the walltime (PANIC_HPC_DEADLINE, in seconds since the
    epoch) ends and the same command goes on, 143 stopped by a signal.
    """
    from panic_hpc.worker.array_task import run_stage
    from panic_hpc.worker.worker import WorkerOptions
    from panic_hpc.workspace.workspace import adopt_sharing, open_workspace

    workspace = open_workspace(experiment)
    workspace.known_stages([stage])
    n_shards = len(workspace.shards(stage))
    # Refused: a batch script's array that is too long would look like work that is done.
    if unknown := [number for number in numbers or () if number >= n_shards]:
        last = f"The last is number {n_shards - 1}"
        raise PanicError(f"There is no shard {unknown[0]} of {stage}", hint=last)
    adopt_sharing(workspace.paths.root)
    indices = numbers or range(n_shards)
    # Without a build to compare with: no submission of ours stands behind it.
    options = WorkerOptions(allow_other_numerics=allow_other_numerics)
    raise typer.Exit(run_stage(str(workspace.paths.root), stage, indices, options))
