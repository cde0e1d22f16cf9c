"""`submit --cluster`: decide what to submit, say what it may cost, submit it, keep the ledger."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from panic_hpc.backends.slurm import queue, retry_policy, sbatch
from panic_hpc.backends.slurm.arrays import (
    ArrayLimits,
    PlannedArray,
    arrays,
    dependency,
    groups,
    select,
)
from panic_hpc.backends.slurm.batch_script import BatchJob, launch_words
from panic_hpc.backends.slurm.commands import read_limits
from panic_hpc.backends.slurm.retry_policy import bad_nodes
from panic_hpc.backends.slurm.status_query import StatusSnapshot, query_status
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.clusters.resources import AllocationCost, cost
from panic_hpc.container.submitted import SubmittedImage
from panic_hpc.errors import LaunchError
from panic_hpc.worker.worker import WorkerOptions
from panic_hpc.workspace import leases
from panic_hpc.workspace.ledger import ArrayJob, Submission, new_submission, write_submission
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.status import NEVER
from panic_hpc.workspace.workspace import Workspace, adopt_sharing

KEY_LENGTH = 8


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """What the command line decides for `--cluster`."""

    cluster: Cluster
    stages: tuple[str, ...]
    retry: bool = False
    image: SubmittedImage | None = None
    exclude_bad_nodes: bool = True
    allow_other_numerics: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be submitted, and why nothing more: for people to look at first."""

    arrays: tuple[PlannedArray, ...]
    cost: AllocationCost
    exclude: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def shards(self) -> int:
        """How many shards it covers."""
        return sum(len(element) for array in self.arrays for element in array.elements)


def propose(workspace: Workspace, options: SlurmOptions, found: StatusSnapshot) -> Proposal:
    """Return what to submit now."""
    chosen = select(found.status, options.stages, retry=options.retry)
    more = retry_policy.memory_factors(found, options.cluster) if options.retry else {}
    limits = _limits(options.cluster)
    planned = arrays(groups(chosen, more), found.status, _per_job(options), limits)
    nodes = bad_nodes(retry_policy.shard_failures(found, more)) if options.retry else ()
    return Proposal(
        arrays=tuple(planned),
        cost=total_cost(options.cluster, planned),
        exclude=nodes if options.exclude_bad_nodes else (),
        never=tuple(never_satisfied(found)),
    )


def total_cost(cluster: Cluster, planned: Sequence[PlannedArray]) -> AllocationCost:
    """Return the most that the arrays may use, each job to the end of its walltime."""
    parts = (cost(cluster.stage(one.stage), len(one.elements)) for one in planned)
    return sum(parts, start=AllocationCost(0.0, 0.0))


def never_satisfied(found: StatusSnapshot) -> Iterator[str]:
    """Yield the ids of queued jobs that wait for something that has failed."""
    yield from sorted({e.job for e in found.queue.values() if e.is_active and e.reason == NEVER})


def submit_to_slurm(
    workspace: Workspace,
    options: SlurmOptions,
    agree: Callable[[Proposal], bool],
    told: Callable[[str], None],
) -> Submission | None:
    """Submit what `agree` consents to; None where there is nothing, or no consent.

    Raises LaunchError where somebody else submits now, or sbatch refuses; the ledger then holds
    what was submitted until there.
    """
    adopt_sharing(workspace.paths.root)
    # The queue is looked at under the lock, or two submitters would both see it without the other's
    # jobs.
    with only_submitter(workspace):
        proposal = propose(workspace, options, query_status(workspace))
        # Slurm keeps such jobs queued for ever, even when their parent is requeued and succeeds. A
        # site asked for --kill-on-invalid-dep to be removed, so it is not left to that.
        if proposal.never:
            queue.cancel_jobs(proposal.never)
            told(f"Cancelled {len(proposal.never)} jobs that waited for failed ones")
            proposal = propose(workspace, options, query_status(workspace))
        if not proposal.arrays or not agree(proposal):
            return None
        # Asked anew: people take minutes to consent, and workers may have begun meanwhile.
        void_leases(workspace, query_status(workspace))
        return _Dispatch(workspace, options, proposal, told).submit_all()


def void_leases(workspace: Workspace, found: StatusSnapshot) -> None:
    """Take back the leases of jobs that the scheduler says are over.

    A worker on another node cannot see that their processes are gone, and would wait for them to
    fall silent.
    """
    lost = (one.shard for one in found.status.all() if one.state == "lost")
    for shard in lost:
        path = workspace.paths.lease(shard)
        if shard.id in found.seen.leases and (
            held := leases.take(path, this_process(), "", is_gone=lambda lease: True)
        ):
            with held:
                held.leave("stopped", "its job has ended")


@contextmanager
def only_submitter(workspace: Workspace) -> Iterator[None]:
    """Be the only one who submits; LaunchError names who does."""
    path = workspace.paths.submit_lock
    held = leases.take(path, this_process(), "")
    if held is None:
        current = leases.read_lease(path)
        owner = current.owner if current else this_process()
        raise LaunchError(
            f"{owner.user} is submitting this experiment now (on {owner.host}, pid {owner.pid})",
            hint="Wait until that is over and look at the status",
        )
    with held:
        yield


def jobs_of(
    workspace: Workspace, options: SlurmOptions, proposal: Proposal, submission: Submission
) -> list[BatchJob]:
    """Return the jobs of a proposal, their dependencies not filled in yet; pure but for names."""
    widths = {one.stage: 0 for one in proposal.arrays}
    for one in proposal.arrays:
        widths[one.stage] += 1
    manifest, paths = workspace.manifest, workspace.paths
    jobs = []
    for number, planned in enumerate(proposal.arrays):
        # Unique, because the ledger tells chunks apart by it, and squeue is asked by name.
        name = f"{planned.stage}-{manifest.key[:KEY_LENGTH]}-{secrets.token_hex(3)}"
        job = BatchJob(
            cluster=_with_memory(options.cluster, planned),
            stage=planned.stage,
            name=name,
            size=len(planned.elements),
            # One folder an array: submitit writes several small files for every element.
            folder=paths.submitit / f"{submission.name}-{number:03d}-{planned.stage}",
            root=paths.root,
            threads=manifest.experiment.threads,
            parallel=_parallel(options.cluster, planned.stage, widths[planned.stage]),
            exclude=proposal.exclude,
            image=options.image,
        )
        jobs.append(job)
    return jobs


class _Dispatch:
    """One submission under way."""

    def __init__(
        self,
        workspace: Workspace,
        options: SlurmOptions,
        proposal: Proposal,
        told: Callable[[str], None],
    ) -> None:
        self.workspace = workspace
        self.proposal = proposal
        self.told = told
        self.submission = new_submission("slurm", options.cluster.name)
        self.jobs = jobs_of(workspace, options, proposal, self.submission)
        self.cluster = options.cluster
        self.options = WorkerOptions(
            self.submission.name,
            build=options.image.build.id if options.image else "",
            allow_other_numerics=options.allow_other_numerics,
        )

    def submit_all(self) -> Submission:
        ids: list[str] = []
        sizes = [job.size for job in self.jobs]
        for planned, job in zip(self.proposal.arrays, self.jobs, strict=True):
            waited = replace(job, dependency=dependency(planned, ids, sizes))
            ids.append(self._submit(planned, waited))
            jobs = "1 job" if job.size == 1 else f"{job.size} jobs"
            self.told(f"{job.stage}: {jobs} as {ids[-1]} {waited.dependency}".rstrip())
        self._write(outcome="submitted")
        return self.submission

    def _submit(self, planned: PlannedArray, job: BatchJob) -> str:
        chunk = ArrayJob(
            stage=job.stage,
            job_name=job.name,
            elements=planned.elements,
            folder=str(job.folder),
            dependency=job.dependency,
            options=asked(job),
            submitted=time.time(),
        )
        self._write(chunk)
        try:
            launched = replace(self.options, launch=launch_words(self.cluster, job.stage))
            identifier = sbatch.submit_array(job, planned.elements, launched)
        except LaunchError as error:
            # The chunk stays, without an id: sbatch may have queued the job and its answer been
            # lost.
            self._write(outcome=f"refused: {error.message}")
            raise
        self._write(replace(chunk, job_id=identifier))
        return identifier

    def _write(self, chunk: ArrayJob | None = None, outcome: str = "") -> None:
        if chunk is not None:
            self.submission = self.submission.with_chunk(chunk)
        self.submission = replace(self.submission, outcome=outcome)
        write_submission(self.workspace.paths.ledger, self.submission)


def asked(job: BatchJob) -> dict[str, Any]:
    """Return what the ledger keeps of a job's request; pure."""
    stage = job.cluster.stage(job.stage)
    kept = ("partition", "cpus", "gpus", "mem_gb", "walltime_min")
    return {name: getattr(stage, name) for name in kept} | {"tasks": stage.tasks}


def _limits(cluster: Cluster) -> ArrayLimits:
    limits = cluster.limits
    return ArrayLimits(read_limits(limits).max_array_size, limits.max_submitted_tasks or 0)


def _per_job(options: SlurmOptions) -> dict[str, int]:
    return {
        stage: getattr(options.cluster.stage(stage), "shards_per_job", 1)
        for stage in options.stages
    }


def _parallel(cluster: Cluster, stage: str, width: int) -> int:
    """Return an array's share of what may run of a stage at once; 0 for no limit."""
    limit = getattr(cluster.stage(stage), "max_parallel", None)
    # Slurm's throttle (%N) holds for one array; there is none across arrays.
    return max(1, limit // width) if limit else 0


def _with_memory(cluster: Cluster, planned: PlannedArray) -> Cluster:
    stage = cluster.stage(planned.stage)
    # Without a figure the site decides on memory, and there is nothing to multiply.
    if planned.memory == 1 or stage.mem_gb is None:
        return cluster
    more = stage.model_copy(update={"mem_gb": stage.mem_gb * planned.memory})
    stages = cluster.stages.model_copy(update={planned.stage: more})
    return cluster.model_copy(update={"stages": stages})
