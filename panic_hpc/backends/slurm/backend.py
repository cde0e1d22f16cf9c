"""The Slurm backend: what is decided in `proposal.py` is submitted, and kept in the ledger."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from panic_hpc import clock
from panic_hpc.backends.base import Agree, Proposal, SubmitRequest, Watcher, agree_to_all
from panic_hpc.backends.slurm import cancel, queue, sbatch
from panic_hpc.backends.slurm.arrays import PlannedArray, dependency
from panic_hpc.backends.slurm.batch_script import BatchJob, launch_words
from panic_hpc.backends.slurm.job_environment import model_cache
from panic_hpc.backends.slurm.proposal import (
    PlannedSubmission,
    jobs_of,
    plan_submission,
    proposal_of,
)
from panic_hpc.backends.slurm.walltime import refuse_short_walltimes
from panic_hpc.backends.status_query import StatusSnapshot, query_status
from panic_hpc.clusters.cluster import energy_options
from panic_hpc.container.submitted import SubmittedImage, submitted_image
from panic_hpc.errors import LaunchError
from panic_hpc.planning.availability import refuse_unready
from panic_hpc.types import ShardId
from panic_hpc.worker.worker import WorkerOptions
from panic_hpc.workspace import leases
from panic_hpc.workspace.ledger import ArrayJob, Submission, new_submission, write_submission
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.status import Queue
from panic_hpc.workspace.workspace import Workspace, adopt_sharing


class SlurmBackend:
    """Jobs and arrays through sbatch; see `backends.base.Backend`."""

    noun = "job"
    is_synchronous = False

    def propose(self, workspace: Workspace, request: SubmitRequest) -> Proposal:
        """Return what would be submitted, with batch scripts and sbatch's verdict on each."""
        image = _image(workspace, request)
        # Without the submit lock, for it writes nothing; a submission at the same time may change
        # the plan.
        planned = plan_submission(workspace, request, query_status(workspace))
        refuse_short_walltimes(planned.walltimes)
        submission = new_submission("slurm", request.cluster.name)
        jobs = jobs_of(workspace, request.cluster, image, planned, submission)
        return proposal_of(
            planned,
            [_script(job, jobs, array) for job, array in zip(jobs, planned.arrays, strict=True)],
        )

    def submit(
        self,
        workspace: Workspace,
        request: SubmitRequest,
        watcher: Watcher,
        agree: Agree = agree_to_all,
    ) -> Submission | None:
        """Submit what `agree` consents to; None where there is nothing, or no consent.

        Raises LaunchError where somebody else submits now, a shard does not fit into its walltime,
        or sbatch refuses; the ledger then holds what was submitted until there.
        """
        image = _image(workspace, request)
        adopt_sharing(workspace.paths.root)
        # The queue is looked at under the lock, or two submitters would both see it without the
        # other's jobs.
        with only_submitter(workspace) as lock:
            planned = plan_submission(workspace, request, query_status(workspace))
            # Slurm keeps such jobs queued for ever, even when their parent is requeued and
            # succeeds. A site asked for --kill-on-invalid-dep to be removed, so it is not left to
            # that.
            if planned.never:
                queue.cancel_jobs(planned.never)
                watcher.tell(f"Cancelled {len(planned.never)} jobs that waited for failed ones")
                planned = plan_submission(workspace, request, query_status(workspace))
            refuse_short_walltimes(planned.walltimes)
            if not planned.arrays or not agree(proposal_of(planned)):
                return None
            # Asked anew: people take minutes to consent, and workers may have begun meanwhile.
            void_leases(workspace, query_status(workspace))
            return _Dispatch(workspace, request, image, planned, watcher, lock).submit_all()

    def queue(
        self, ledger: Sequence[Submission], unfinished: Collection[ShardId]
    ) -> tuple[Queue, str]:
        """Return squeue's word on each shard that was submitted, or why it gave none."""
        try:
            return queue.queue_of(ledger, queue.rows_of(queue.open_names(ledger, unfinished))), ""
        except LaunchError as error:
            return queue.queue_of(ledger, None), str(error)

    def active(self, snapshot: StatusSnapshot, stages: Collection[str]) -> list[str]:
        """Return the ids of array tasks and jobs that are still to run or running; pure."""
        return cancel.active_jobs(snapshot.queue, stages)

    def cancel(self, workspace: Workspace, ids: Sequence[str]) -> None:
        """Cancel these jobs and array tasks, and note it in the ledger."""
        # A submission under way holds the ledger's entry in memory and would write over the note.
        with only_submitter(workspace):
            cancel.cancel(workspace, ids)


def _image(workspace: Workspace, request: SubmitRequest) -> SubmittedImage | None:
    """Return the container image of the jobs; their models are looked for in the cache first."""
    # Before the image, whose digest takes reading the whole of it.
    refuse_unready(
        workspace.manifest, workspace.paths.root, model_cache(request.cluster), request.cluster.name
    )
    binds = (str(workspace.paths.root),)
    return submitted_image(request.cluster, request.image or None, binds=binds)


def _script(job: BatchJob, jobs: Sequence[BatchJob], array: PlannedArray) -> str:
    """Return a batch script, and as comments what it waits for and what sbatch says of it."""
    # Names in place of ids, which only sbatch can give.
    names = [*(jobs[position].name for position in array.after), *array.queued]
    waits = f"# waits for {', '.join(names)}\n" if names else ""
    return f"{sbatch.script(job)}\n{waits}# sbatch says: {sbatch.verdict(job)}\n"


def void_leases(workspace: Workspace, snapshot: StatusSnapshot) -> None:
    """Take back the leases of jobs that the scheduler says are over.

    A worker on another node cannot see that their processes are gone, and would wait for them to
    fall silent.
    """
    lost = (one.shard for one in snapshot.status.all() if one.state == "lost")
    for shard in lost:
        path = workspace.paths.lease(shard)
        if shard.id in snapshot.files.leases and (
            held := leases.take(path, this_process(), "", is_gone=lambda lease: True)
        ):
            with held:
                held.leave("stopped", "its job has ended")


@contextmanager
def only_submitter(workspace: Workspace) -> Iterator[leases.HeldLease]:
    """Be the only one who submits; LaunchError names who does."""
    path = workspace.paths.submit_lock
    held = leases.take(path, this_process(), "")
    if held is None:
        current = leases.read_lease(path)
        said = "Somebody has submitted this experiment a moment ago"
        if current:
            owner = current.owner
            where = f"(on {owner.host}, pid {owner.pid})"
            said = f"{owner.user} is submitting this experiment now {where}"
        raise LaunchError(said, hint="Wait until that is over and look at the status")
    with held:
        yield held


class _Dispatch:
    """One submission under way."""

    def __init__(
        self,
        workspace: Workspace,
        request: SubmitRequest,
        image: SubmittedImage | None,
        planned: PlannedSubmission,
        watcher: Watcher,
        lock: leases.HeldLease,
    ) -> None:
        self.workspace = workspace
        self.lock = lock
        self.planned = planned
        self.watcher = watcher
        self.submission = new_submission("slurm", request.cluster.name)
        self.jobs = jobs_of(workspace, request.cluster, image, planned, self.submission)
        self.options = WorkerOptions(
            self.submission.name,
            build=image.build.id if image else "",
            allow_other_numerics=request.allow_other_numerics,
        )

    def submit_all(self) -> Submission:
        ids: list[str] = []
        sizes = [job.size for job in self.jobs]
        for array, job in zip(self.planned.arrays, self.jobs, strict=True):
            waited = replace(job, dependency=dependency(array, ids, sizes))
            ids.append(self._submit(array, waited))
            jobs = "1 job" if job.size == 1 else f"{job.size} jobs"
            self.watcher.tell(f"{job.stage}: {jobs} as {ids[-1]} {waited.dependency}".rstrip())
        self._write(outcome="submitted")
        return self.submission

    def _submit(self, array: PlannedArray, job: BatchJob) -> str:
        array_job = ArrayJob(
            stage=job.stage,
            job_name=job.name,
            tasks=array.tasks,
            folder=str(job.folder),
            dependency=job.dependency,
            options=requested(job),
            submitted=clock.now(),
        )
        self._write(array_job)
        try:
            launched = replace(self.options, launch=launch_words(job))
            _require_held(self.lock)
            identifier = sbatch.submit_array(job, array.tasks, launched)
        except LaunchError as error:
            # The entry stays, without an id: sbatch may have queued the job and its answer been
            # lost.
            self._write(outcome=f"refused: {error.message}")
            raise
        self._write(replace(array_job, job_id=identifier))
        return identifier

    def _write(self, array_job: ArrayJob | None = None, outcome: str = "") -> None:
        if array_job is not None:
            self.submission = self.submission.with_array_job(array_job)
        self.submission = replace(self.submission, outcome=outcome)
        write_submission(self.workspace.paths.ledger, self.submission)


def _require_held(lock: leases.HeldLease) -> None:
    """Raise LaunchError where somebody else submits by now: this process was stopped for long."""
    if lock.lost():
        raise LaunchError(
            "Somebody else took this submission over while this process stood still",
            hint="Look at the status, then submit what is left",
        )


def requested(job: BatchJob) -> dict[str, Any]:
    """Return what the ledger keeps of a job's request; pure."""
    stage = job.cluster.stage(job.stage)
    kept = ("partition", "cpus", "gpus", "mem_gb", "walltime_min")
    asked = {name: getattr(stage, name) for name in kept} | {"tasks": stage.tasks}
    return asked | energy_options(job.cluster, job.stage)
