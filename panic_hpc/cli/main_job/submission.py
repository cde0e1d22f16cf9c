"""What `submit` and `retry` have in common: carry a request out, and say what came of it."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.options import (
    ClusterName,
    DryRun,
    ExecutorName,
    Image,
    OtherNumerics,
    Root,
    ShortWalltime,
    Stages,
    Workers,
    WorkersPerGpu,
    Yes,
)
from panic_hpc.cli.console.output import say, warn
from panic_hpc.errors import LaunchError

if TYPE_CHECKING:
    from panic_hpc.backends.base import Proposal, SubmitRequest
    from panic_hpc.workspace.workspace import Workspace


def carry_out(
    experiment: Root = Path("."),
    cluster: ClusterName = "local",
    executor: ExecutorName = "local",
    workers: Workers = 0,
    workers_per_gpu: WorkersPerGpu = 0,
    stage: Stages = None,
    image: Image = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    allow_other_numerics: OtherNumerics = False,
    allow_short_walltime: ShortWalltime = False,
    *,
    retry: bool = False,
    any_node: bool = False,
) -> None:
    """Carry out what was typed after `submit` or `retry`."""
    from panic_hpc.api import request_for
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    request = request_for(
        cluster,
        stages=workspace.known_stages(stage or ()),
        retry=retry,
        executor=executor_named(executor),
        workers=workers,
        workers_per_gpu=workers_per_gpu,
        image=image,
        any_node=any_node,
        allow_other_numerics=allow_other_numerics,
        allow_short_walltime=allow_short_walltime,
    )
    if dry_run:
        return show_proposal(workspace, request)
    return submit_and_report(workspace, request, yes=yes)


def shares_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give `verb`, whose last parameter is `**typed`, the options of `carry_out` besides its own.

    typer reads the signature, and hands all that was typed on by name.
    """
    typed: Any = verb
    own = [p for p in inspect.signature(verb).parameters.values() if p.kind is not p.VAR_KEYWORD]
    shared = [
        p.replace(kind=p.KEYWORD_ONLY)
        for p in inspect.signature(carry_out).parameters.values()
        if p.kind is not p.KEYWORD_ONLY
    ]
    typed.__signature__ = inspect.Signature([*shared, *own])
    typed.__annotations__ = {p.name: p.annotation for p in (*shared, *own)}
    return verb


def executor_named(name: str) -> Any:
    """Return an executor's name as it was typed; LaunchError, with those there are, for another."""
    from panic_hpc.backends.base import EXECUTORS

    if name not in EXECUTORS:
        raise LaunchError(f"There is no executor {name!r}", hint=f"Known: {', '.join(EXECUTORS)}")
    return name


def show_proposal(workspace: "Workspace", request: "SubmitRequest") -> None:
    """Print what a submission would do, and do nothing."""
    from panic_hpc.backends.base import backend_of
    from panic_hpc.workspace.disk_space import shortage

    proposal = backend_of(request.cluster).propose(workspace, request)
    for script in proposal.scripts:
        say(script)
    _print_summary(proposal)
    if too_little := shortage(workspace, request.stages):
        warn(too_little)


def submit_and_report(workspace: "Workspace", request: "SubmitRequest", *, yes: bool) -> None:
    """Submit; where the work is done here, say what came of it and end with its exit code."""
    from panic_hpc import api
    from panic_hpc.backends.base import backend_of
    from panic_hpc.cli.console.progress import Lines

    def agree(proposal: "Proposal") -> bool:
        _print_summary(proposal)
        # A prompt that nobody answers would end a script with a bare "Aborted".
        if not yes and not sys.stdin.isatty():
            raise LaunchError("There is nobody to ask here", hint="Look at this, then give --yes")
        return yes or typer.confirm("Submit?", default=False)

    backend = backend_of(request.cluster)
    here = backend.is_synchronous
    # Bars would be drawn over the question.
    progress = True if here else Lines()
    submission = api.submit(workspace, request, wait=here, progress=progress, agree=agree)
    if here:
        report_what_is_left(workspace, request.stages)
    elif submission is None:
        say("Nothing was submitted; `panic-hpc status` says what there is.")


def _print_summary(proposal: "Proposal") -> None:
    for line in proposal.summary:
        say(line)
    for warning in proposal.warnings:
        warn(warning)


def report_what_is_left(workspace: "Workspace", stages: tuple[str, ...]) -> None:
    """Say which shards of `stages` failed, and where products are; typer.Exit where any is left."""
    from panic_hpc.backends.status_query import query_status

    state = query_status(workspace).status
    left = [shard for shard in state.all() if shard.state != "completed"]
    left = [shard for shard in left if shard.shard.stage in stages]
    failed = [shard for shard in left if shard.state == "failed"]
    for shard in failed[:5]:
        warn(f"{shard.name} failed: {shard.detail}")
    if failed:
        verb = "submit" if all(shard.disk for shard in failed) else "retry"
        warn(f"{len(failed)} shards failed. `panic-hpc status` lists them, `{verb}` tries again.")
    if left:
        raise typer.Exit(exit_codes.INCOMPLETE)
    for path in _products(workspace, stages):
        say(f"{path.stem} {path}")


def _products(workspace: "Workspace", stages: tuple[str, ...]) -> list[Path]:
    """Return the files that stages leave outside of the shards' own places."""
    shards = (shard for stage in stages for shard in workspace.shards(stage))
    return [workspace.paths.shard(shard) for shard in shards if shard.file]
