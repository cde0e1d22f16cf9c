"""What a submission to Slurm would be: arrays, their jobs, what they may cost, what is in the way.

Decided from a status and a profile; `backend.py` acts on it.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from panic_hpc.backends.base import Proposal, SubmitRequest
from panic_hpc.backends.slurm import retry_policy
from panic_hpc.backends.slurm.arrays import ArrayLimits, PlannedArray, arrays, groups, select
from panic_hpc.backends.slurm.batch_script import BatchJob
from panic_hpc.backends.slurm.commands import read_limits
from panic_hpc.backends.slurm.walltime import WalltimeProblem, walltime_problem
from panic_hpc.backends.status_query import StatusSnapshot
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.clusters.resources import AllocationCost, allocation_cost
from panic_hpc.container.submitted import SubmittedImage
from panic_hpc.workspace.ledger import Submission
from panic_hpc.workspace.status import NEVER
from panic_hpc.workspace.workspace import Workspace

KEY_LENGTH = 8


@dataclass(frozen=True, slots=True)
class PlannedSubmission:
    """What would be submitted to Slurm, and why nothing more.

    arrays: the arrays, in order of submission.
    cost: the most that they may use.
    exclude: nodes that are left out, because shards failed there repeatedly.
    never: ids of queued jobs that wait for something that has failed.
    walltimes: what is wrong with the walltimes of its stages.
    """

    arrays: tuple[PlannedArray, ...]
    cost: AllocationCost
    exclude: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    walltimes: tuple[WalltimeProblem, ...] = ()

    @property
    def n_shards(self) -> int:
        """How many shards it covers."""
        return sum(len(task) for array in self.arrays for task in array.tasks)


def plan_submission(
    workspace: Workspace, request: SubmitRequest, snapshot: StatusSnapshot
) -> PlannedSubmission:
    """Return what to submit now."""
    cluster, stages = request.cluster, request.stages or tuple(workspace.stages)
    chosen = select(snapshot.status, stages, retry=request.retry)
    more = retry_policy.memory_factors(snapshot, cluster) if request.retry else {}
    failures = retry_policy.shard_failures(snapshot, more) if request.retry else ()
    planned = arrays(
        groups(chosen, more), snapshot.status, _per_job(cluster, stages), _limits(cluster)
    )
    return PlannedSubmission(
        arrays=tuple(planned),
        cost=total_cost(cluster, planned),
        exclude=() if request.any_node else retry_policy.bad_nodes(failures),
        never=tuple(never_satisfied(snapshot)),
        walltimes=tuple(_walltimes(workspace, request, dict.fromkeys(a.stage for a in planned))),
    )


def _walltimes(
    workspace: Workspace, request: SubmitRequest, stages: Iterable[str]
) -> Iterator[WalltimeProblem]:
    for name in stages:
        stage, allow = workspace.stages[name], request.allow_short_walltime
        problem = walltime_problem(stage, workspace.manifest, request.cluster, allow_short=allow)
        if problem:
            yield problem


def proposal_of(planned: PlannedSubmission, scripts: Sequence[str] = ()) -> Proposal:
    """Return a planned submission as people look at it."""
    n_tasks = sum(len(array.tasks) for array in planned.arrays)
    most = planned.cost
    summary = [
        f"{_counted(planned.n_shards, 'shard')} in {_counted(n_tasks, 'job')} "
        f"({_counted(len(planned.arrays), 'array')}); "
        f"at most {most.gpu_hours:.1f} GPU-hours and {most.cpu_hours:.1f} CPU-hours"
    ]
    if planned.exclude:
        nodes = ", ".join(planned.exclude)
        summary.append(f"Left out, because shards failed there repeatedly: {nodes}")
    warnings = tuple(f"{problem.message}. {problem.hint}" for problem in planned.walltimes)
    return Proposal(planned.n_shards, tuple(summary), warnings, tuple(scripts))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def total_cost(cluster: Cluster, planned: Sequence[PlannedArray]) -> AllocationCost:
    """Return the most that the arrays may use, each job to the end of its walltime."""
    parts = (allocation_cost(cluster.stage(one.stage), len(one.tasks)) for one in planned)
    return sum(parts, start=AllocationCost(0.0, 0.0))


def never_satisfied(snapshot: StatusSnapshot) -> Iterator[str]:
    """Yield the ids of queued jobs that wait for something that has failed."""
    yield from sorted({e.job for e in snapshot.queue.values() if e.is_active and e.reason == NEVER})


def jobs_of(
    workspace: Workspace,
    cluster: Cluster,
    image: SubmittedImage | None,
    planned: PlannedSubmission,
    submission: Submission,
) -> list[BatchJob]:
    """Return the jobs of a planned submission, without dependencies yet; pure but for names."""
    widths = {one.stage: 0 for one in planned.arrays}
    for one in planned.arrays:
        widths[one.stage] += 1
    manifest, paths = workspace.manifest, workspace.paths
    jobs = []
    for number, array in enumerate(planned.arrays):
        # Unique, because the ledger tells array jobs apart by it, and squeue is asked by name.
        name = f"{array.stage}-{manifest.key[:KEY_LENGTH]}-{secrets.token_hex(3)}"
        job = BatchJob(
            cluster=_with_memory(cluster, array),
            stage=array.stage,
            name=name,
            size=len(array.tasks),
            # One folder an array: submitit writes several small files for every task.
            folder=paths.submitit / f"{submission.name}-{number:03d}-{array.stage}",
            root=paths.root,
            threads=manifest.experiment.threads,
            launch=workspace.stages[array.stage].launch,
            parallel=_parallel(cluster, array.stage, widths[array.stage]),
            exclude=planned.exclude,
            image=image,
        )
        jobs.append(job)
    return jobs


def _limits(cluster: Cluster) -> ArrayLimits:
    limits = cluster.limits
    return ArrayLimits(read_limits(limits).max_array_size, limits.max_submitted_tasks or 0)


def _per_job(cluster: Cluster, stages: Iterable[str]) -> dict[str, int]:
    return {stage: getattr(cluster.stage(stage), "shards_per_job", 1) for stage in stages}


def _parallel(cluster: Cluster, stage: str, width: int) -> int:
    """Return an array's share of what may run of a stage at once; 0 for no limit."""
    limit = getattr(cluster.stage(stage), "max_parallel", None)
    # Slurm's throttle (%N) holds for one array; there is none across arrays.
    return max(1, limit // width) if limit else 0


def _with_memory(cluster: Cluster, array: PlannedArray) -> Cluster:
    stage = cluster.stage(array.stage)
    # Without a figure the site decides on memory, and there is nothing to multiply.
    if array.memory == 1 or stage.mem_gb is None:
        return cluster
    more = stage.model_copy(update={"mem_gb": stage.mem_gb * array.memory})
    stages = cluster.stages.model_copy(update={array.stage: more})
    return cluster.model_copy(update={"stages": stages})
