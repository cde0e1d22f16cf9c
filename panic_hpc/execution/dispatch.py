"""`submit --cluster`: decide what to submit, say what it may cost, submit it, keep the ledger."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.clusters.resources import Cost, cost
from panic_hpc.errors import LaunchError
from panic_hpc.execution import claims, executors, remedies, scheduler
from panic_hpc.execution.batch import Job, launch_words
from panic_hpc.execution.diagnosis import bad_nodes
from panic_hpc.execution.experiment import Experiment, adopt_sharing
from panic_hpc.execution.identity import this_process
from panic_hpc.execution.inquiry import Inquiry, inquire
from panic_hpc.execution.ledger import Chunk, Submission, new_submission, write_submission
from panic_hpc.execution.selection import (
    Limits,
    PlannedArray,
    arrays,
    dependency,
    groups,
    select,
)
from panic_hpc.execution.slurm import read_limits
from panic_hpc.execution.status import NEVER
from panic_hpc.execution.submitted_image import SubmittedImage
from panic_hpc.execution.worker import WorkerOptions

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
    cost: Cost
    exclude: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def shards(self) -> int:
        """How many shards it covers."""
        return sum(len(element) for array in self.arrays for element in array.elements)


def propose(experiment: Experiment, options: SlurmOptions, found: Inquiry) -> Proposal:
    """Return what to submit now."""
    chosen = select(found.status, options.stages, retry=options.retry)
    more = remedies.memory_factors(found, options.cluster) if options.retry else {}
    limits = _limits(options.cluster)
    planned = arrays(groups(chosen, more), found.status, _per_job(options), limits)
    nodes = bad_nodes(remedies.bad_ends(found, more)) if options.retry else ()
    return Proposal(
        arrays=tuple(planned),
        cost=total_cost(options.cluster, planned),
        exclude=nodes if options.exclude_bad_nodes else (),
        never=tuple(never_satisfied(found)),
    )


def total_cost(cluster: Cluster, planned: Sequence[PlannedArray]) -> Cost:
    """Return the most that the arrays may use, each job to the end of its walltime."""
    parts = (cost(cluster.stage(one.stage), len(one.elements)) for one in planned)
    return sum(parts, start=Cost(0.0, 0.0))


def never_satisfied(found: Inquiry) -> Iterator[str]:
    """Yield the ids of queued jobs that wait for something that has failed."""
    yield from sorted({e.job for e in found.queue.values() if e.is_active and e.reason == NEVER})


def submit_to_slurm(
    experiment: Experiment,
    options: SlurmOptions,
    agree: Callable[[Proposal], bool],
    told: Callable[[str], None],
) -> Submission | None:
    """Submit what `agree` consents to; None where there is nothing, or no consent.

    Raises LaunchError where somebody else submits now, or sbatch refuses; the ledger then holds
    what was submitted until there.
    """
    adopt_sharing(experiment.paths.root)
    # The queue is looked at under the lock, or two submitters would both see it without the other's
    # jobs.
    with only_submitter(experiment):
        proposal = propose(experiment, options, inquire(experiment))
        # Slurm keeps such jobs queued for ever, even when their parent is requeued and succeeds. A
        # site asked for --kill-on-invalid-dep to be removed, so it is not left to that.
        if proposal.never:
            scheduler.cancel_jobs(proposal.never)
            told(f"Cancelled {len(proposal.never)} jobs that waited for failed ones")
            proposal = propose(experiment, options, inquire(experiment))
        if not proposal.arrays or not agree(proposal):
            return None
        # Asked anew: people take minutes to consent, and workers may have begun meanwhile.
        void_claims(experiment, inquire(experiment))
        return _Dispatch(experiment, options, proposal, told).submit_all()


def void_claims(experiment: Experiment, found: Inquiry) -> None:
    """Take back the claims of jobs that the scheduler says are over.

    A worker on another node cannot see that their processes are gone, and would wait for them to
    fall silent.
    """
    lost = (one.shard for one in found.status.all() if one.state == "lost")
    for shard in lost:
        path = experiment.paths.claim(shard)
        if shard.id in found.seen.claims and (
            held := claims.take(path, this_process(), "", is_gone=lambda claim: True)
        ):
            with held:
                held.leave("stopped", "its job has ended")


@contextmanager
def only_submitter(experiment: Experiment) -> Iterator[None]:
    """Be the only one who submits; LaunchError names who does."""
    path = experiment.paths.submit_lock
    held = claims.take(path, this_process(), "")
    if held is None:
        current = claims.read_claim(path)
        owner = current.owner if current else this_process()
        raise LaunchError(
            f"{owner.user} is submitting this experiment now (on {owner.host}, pid {owner.pid})",
            hint="Wait until that is over and look at the status",
        )
    with held:
        yield


def jobs_of(
    experiment: Experiment, options: SlurmOptions, proposal: Proposal, submission: Submission
) -> list[Job]:
    """Return the jobs of a proposal, their dependencies not filled in yet; pure but for names."""
    widths = {one.stage: 0 for one in proposal.arrays}
    for one in proposal.arrays:
        widths[one.stage] += 1
    manifest, paths = experiment.manifest, experiment.paths
    jobs = []
    for number, planned in enumerate(proposal.arrays):
        # Unique, because the ledger tells chunks apart by it, and squeue is asked by name.
        name = f"{planned.stage}-{manifest.key[:KEY_LENGTH]}-{secrets.token_hex(3)}"
        job = Job(
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
        experiment: Experiment,
        options: SlurmOptions,
        proposal: Proposal,
        told: Callable[[str], None],
    ) -> None:
        self.experiment = experiment
        self.proposal = proposal
        self.told = told
        self.submission = new_submission("slurm", options.cluster.name)
        self.jobs = jobs_of(experiment, options, proposal, self.submission)
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

    def _submit(self, planned: PlannedArray, job: Job) -> str:
        chunk = Chunk(
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
            identifier = executors.submit_array(job, planned.elements, launched)
        except LaunchError as error:
            # The chunk stays, without an id: sbatch may have queued the job and its answer been
            # lost.
            self._write(outcome=f"refused: {error.message}")
            raise
        self._write(replace(chunk, job_id=identifier))
        return identifier

    def _write(self, chunk: Chunk | None = None, outcome: str = "") -> None:
        if chunk is not None:
            self.submission = self.submission.with_chunk(chunk)
        self.submission = replace(self.submission, outcome=outcome)
        write_submission(self.experiment.paths.ledger, self.submission)


def asked(job: Job) -> dict[str, Any]:
    """Return what the ledger keeps of a job's request; pure."""
    stage = job.cluster.stage(job.stage)
    kept = ("partition", "cpus", "gpus", "mem_gb", "walltime_min")
    return {name: getattr(stage, name) for name in kept} | {"tasks": stage.tasks}


def _limits(cluster: Cluster) -> Limits:
    limits = cluster.limits
    return Limits(read_limits(limits).max_array_size, limits.max_submitted_tasks or 0)


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
