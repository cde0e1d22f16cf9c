"""`panic-hpc submit`: do, or let a scheduler do, what is not done yet."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console import say, warn
from panic_hpc.errors import LaunchError

if TYPE_CHECKING:
    from panic_hpc.execution.dispatch import Proposal, SlurmOptions
    from panic_hpc.execution.experiment import Experiment
    from panic_hpc.execution.launch import LocalOptions
    from panic_hpc.execution.status import Status

EXIT_INCOMPLETE = 3

Root = Annotated[Path, typer.Argument(metavar="EXP", help="The experiment's directory.")]
ClusterName = Annotated[
    str, typer.Option("--cluster", help="A cluster profile; see `panic-hpc clusters list`.")
]
Image = Annotated[str, typer.Option(help="A container image in place of the profile's.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show scripts, cost and sbatch's verdict; submit nothing.")
]
OtherNumerics = Annotated[
    bool,
    typer.Option("--allow-other-numerics", help="Continue checkpoints of another kind of machine."),
]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="Only this one (repeatable).")]
Workers = Annotated[
    int, typer.Option(min=0, help="Worker processes; 0: one a GPU, else one a core.")
]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="local: worker processes here; inline: this process.")
]


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
    from panic_hpc.execution.availability import refuse_unavailable
    from panic_hpc.execution.experiment import open_experiment
    from panic_hpc.execution.launch import LocalOptions, clear_halt, executor_name

    opened = open_experiment(experiment)
    refuse_unavailable(opened.manifest)
    stages = opened.known_stages(stage or ())
    if not dry_run and clear_halt(opened):
        warn("There was a request to stop; it is withdrawn by this submission.")
    if cluster == "local":
        kind = executor_name(executor)
        local = LocalOptions(kind, workers, stages, False, allow_other_numerics)
        return work_here(opened, local, dry_run=dry_run)
    options = slurm_options(
        opened, cluster, stages, image, allow_other_numerics=allow_other_numerics
    )
    return send(opened, options, dry_run=dry_run, yes=yes)


def work_here(opened: "Experiment", options: "LocalOptions", *, dry_run: bool) -> None:
    """Submit to this machine and say what came of it."""
    from panic_hpc.cli.progress import summary, watcher
    from panic_hpc.execution.launch import current_status, submit_locally

    if dry_run:
        found = current_status(opened)
        for stage in options.stages:
            say(summary(found, stage))
        return
    with watcher() as shown:
        state = submit_locally(opened, options, shown)
    _conclude(state, options.stages)


def slurm_options(
    opened: "Experiment",
    cluster: str,
    stages: tuple[str, ...],
    image: str,
    *,
    retry: bool = False,
    allow_other_numerics: bool = False,
) -> "SlurmOptions":
    """Return the options for the profile called `cluster`."""
    from panic_hpc.clusters.profiles import load_cluster, resolved
    from panic_hpc.execution.availability import refuse_missing
    from panic_hpc.execution.dispatch import SlurmOptions
    from panic_hpc.execution.environment import model_cache
    from panic_hpc.execution.submitted_image import submitted_image

    profile = resolved(load_cluster(cluster))
    refuse_missing(opened.manifest, model_cache(profile), cluster)
    found = submitted_image(profile, image or None, binds=(str(opened.paths.root),))
    return SlurmOptions(
        cluster=profile,
        stages=stages,
        retry=retry,
        image=found,
        allow_other_numerics=allow_other_numerics,
    )


def send(opened: "Experiment", options: "SlurmOptions", *, dry_run: bool, yes: bool) -> None:
    """Submit to a cluster, after showing what it may cost."""
    from panic_hpc.execution.dispatch import submit_to_slurm

    if dry_run:
        return _rehearse(opened, options)

    def agree(proposal: "Proposal") -> bool:
        _describe(proposal)
        if not yes and not sys.stdin.isatty():
            raise LaunchError("There is nobody to ask here", hint="Look at this, then give --yes")
        return yes or typer.confirm("Submit?", default=False)

    submission = submit_to_slurm(opened, options, agree, say)
    if submission is None:
        say("Nothing was submitted; `panic-hpc status` says what there is.")
    return None


def _rehearse(opened: "Experiment", options: "SlurmOptions") -> None:
    from panic_hpc.execution import executors
    from panic_hpc.execution.dispatch import jobs_of, propose
    from panic_hpc.execution.inquiry import inquire
    from panic_hpc.execution.ledger import new_submission

    proposal = propose(opened, options, inquire(opened))
    jobs = jobs_of(opened, options, proposal, new_submission("slurm", options.cluster.name))
    for job, array in zip(jobs, proposal.arrays, strict=True):
        say(executors.script(job))
        names = [*(jobs[position].name for position in array.after), *array.queued]
        if names:
            say(f"# waits for {', '.join(names)}")
        say(f"# sbatch says: {executors.test_only(job)}\n")
    _describe(proposal)


def _describe(proposal: "Proposal") -> None:
    cost = proposal.cost
    tasks = sum(len(array.elements) for array in proposal.arrays)
    say(
        f"{proposal.shards} shards in {tasks} jobs, {len(proposal.arrays)} calls of sbatch; "
        f"at most {cost.gpu_hours:.1f} GPU-hours and {cost.cpu_hours:.1f} CPU-hours"
    )
    if proposal.exclude:
        say(f"Left out, because shards failed there repeatedly: {', '.join(proposal.exclude)}")


def _conclude(state: "Status", stages: tuple[str, ...]) -> None:
    left = [one for one in state.all() if one.state != "completed" and one.shard.stage in stages]
    failed = [one for one in left if one.state == "failed"]
    for one in failed[:5]:
        warn(f"{one.name} failed: {one.detail}")
    if failed:
        warn(f"{len(failed)} shards failed. `panic-hpc status` lists them, `retry` tries again.")
    if left:
        raise typer.Exit(EXIT_INCOMPLETE)
