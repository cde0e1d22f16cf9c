"""What `submit` and `retry` have in common: work here, or send the work to a cluster."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from panic_hpc.cli.console.output import counted, say, warn
from panic_hpc.errors import LaunchError
from panic_hpc.types import MERGE

if TYPE_CHECKING:
    from panic_hpc.backends.local.backend import LocalOptions
    from panic_hpc.backends.slurm.backend import Proposal, SlurmOptions
    from panic_hpc.workspace.status import Status
    from panic_hpc.workspace.workspace import Workspace

# 2 is what a mistyped option exits with.
EXIT_INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed after `submit` or `retry`."""

    cluster: str
    executor: str
    workers: int
    stages: tuple[str, ...]
    image: str
    dry_run: bool
    yes: bool
    allow_other_numerics: bool
    retry: bool = False
    any_node: bool = False


def send(workspace: "Workspace", asked: Asked) -> None:
    """Do the work of `opened` that is asked for, here or on a cluster, and say what came of it."""
    from panic_hpc.backends.local.backend import clear_halt

    # Before anything starts, or new workers would leave at once.
    if not asked.dry_run and clear_halt(workspace):
        warn("There was a request to stop; it is withdrawn by this submission.")
    if asked.cluster == "local":
        return _work_here(workspace, asked)
    options = _slurm_options(workspace, asked)
    return (
        _rehearse(workspace, options)
        if asked.dry_run
        else _submit(workspace, options, yes=asked.yes)
    )


def _work_here(workspace: "Workspace", asked: Asked) -> None:
    from panic_hpc.backends.local.backend import current_status, submit_locally
    from panic_hpc.cli.console.progress import summary, watcher
    from panic_hpc.models.hub.cache import cache_directory
    from panic_hpc.planning.availability import refuse_missing

    options = _local_options(asked)
    refuse_missing(workspace.manifest, cache_directory(), "local")
    if asked.dry_run:
        found = current_status(workspace)
        for stage in options.stages:
            say(summary(found, stage))
        return
    with watcher() as shown:
        state = submit_locally(workspace, options, shown)
    _conclude(workspace, state, options.stages)


def _local_options(asked: Asked) -> "LocalOptions":
    from panic_hpc.backends.local.backend import LocalOptions, executor_name

    return LocalOptions(
        executor=executor_name(asked.executor),
        workers=asked.workers,
        stages=asked.stages,
        retry=asked.retry,
        allow_other_numerics=asked.allow_other_numerics,
    )


def _slurm_options(workspace: "Workspace", asked: Asked) -> "SlurmOptions":
    from panic_hpc.backends.slurm.backend import SlurmOptions
    from panic_hpc.backends.slurm.job_environment import model_cache
    from panic_hpc.clusters.profiles import load_cluster, resolved
    from panic_hpc.container.submitted import submitted_image
    from panic_hpc.planning.availability import refuse_missing

    profile = resolved(load_cluster(asked.cluster))
    # Before the image, whose digest takes reading the whole of it.
    refuse_missing(workspace.manifest, model_cache(profile), asked.cluster)
    return SlurmOptions(
        cluster=profile,
        stages=asked.stages,
        retry=asked.retry,
        image=submitted_image(profile, asked.image or None, binds=(str(workspace.paths.root),)),
        exclude_bad_nodes=not asked.any_node,
        allow_other_numerics=asked.allow_other_numerics,
    )


def _submit(workspace: "Workspace", options: "SlurmOptions", *, yes: bool) -> None:
    from panic_hpc.backends.slurm.backend import submit_to_slurm

    def agree(proposal: "Proposal") -> bool:
        _describe(proposal)
        # A prompt that nobody answers would end a script with a bare "Aborted".
        if not yes and not sys.stdin.isatty():
            raise LaunchError("There is nobody to ask here", hint="Look at this, then give --yes")
        return yes or typer.confirm("Submit?", default=False)

    if submit_to_slurm(workspace, options, agree, say) is None:
        say("Nothing was submitted; `panic-hpc status` says what there is.")


def _rehearse(workspace: "Workspace", options: "SlurmOptions") -> None:
    from panic_hpc.backends.slurm import sbatch
    from panic_hpc.backends.slurm.backend import jobs_of, propose
    from panic_hpc.backends.slurm.status_query import query_status
    from panic_hpc.workspace.ledger import new_submission

    # Without the submit lock, for it writes nothing; a submission at the same time may change the
    # plan.
    proposal = propose(workspace, options, query_status(workspace))
    jobs = jobs_of(workspace, options, proposal, new_submission("slurm", options.cluster.name))
    for job, array in zip(jobs, proposal.arrays, strict=True):
        say(sbatch.script(job))
        # Names in place of ids, which only sbatch can give.
        names = [*(jobs[position].name for position in array.after), *array.queued]
        if names:
            say(f"# waits for {', '.join(names)}")
        say(f"# sbatch says: {sbatch.test_only(job)}\n")
    _describe(proposal)


def _describe(proposal: "Proposal") -> None:
    cost = proposal.cost
    tasks = sum(len(array.elements) for array in proposal.arrays)
    calls = counted(len(proposal.arrays), "array")
    say(
        f"{counted(proposal.shards, 'shard')} in {counted(tasks, 'job')} ({calls}); "
        f"at most {cost.gpu_hours:.1f} GPU-hours and {cost.cpu_hours:.1f} CPU-hours"
    )
    if proposal.exclude:
        say(f"Left out, because shards failed there repeatedly: {', '.join(proposal.exclude)}")


def _conclude(workspace: "Workspace", state: "Status", stages: tuple[str, ...]) -> None:
    left = [one for one in state.all() if one.state != "completed" and one.shard.stage in stages]
    failed = [one for one in left if one.state == "failed"]
    for one in failed[:5]:
        warn(f"{one.name} failed: {one.detail}")
    if failed:
        warn(f"{len(failed)} shards failed. `panic-hpc status` lists them, `retry` tries again.")
    if left:
        raise typer.Exit(EXIT_INCOMPLETE)
    if MERGE in stages:
        say(f"dataset {workspace.paths.dataset}")
