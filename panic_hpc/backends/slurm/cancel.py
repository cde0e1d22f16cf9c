"""Cancelling jobs, and the ledger's note of it."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from panic_hpc.backends.slurm import queue
from panic_hpc.workspace.ledger import Submission, read_ledger, write_submission
from panic_hpc.workspace.status import Queue
from panic_hpc.workspace.workspace import Workspace

MAX_IDS = 500
"""More ids are too many for a command line."""


def active_jobs(queue: Queue, stages: Collection[str]) -> list[str]:
    """Return the ids of array tasks and jobs that are still to run or running; pure."""
    active = {
        entry.job for shard, entry in queue.items() if shard.stage in stages and entry.is_active
    }
    # A job whose id was lost has none until the scheduler answers.
    return sorted(active - {""})


def cancel(workspace: Workspace, jobs: Sequence[str]) -> None:
    """Cancel `jobs` and note it in the ledger."""
    queue.cancel_jobs(_shortened(jobs))
    # Without the note, jobs that squeue has forgotten would count as lost.
    for submission in read_ledger(workspace.paths.ledger):
        noted = _noted(submission, {job.partition("_")[0] for job in jobs})
        if noted != submission:
            write_submission(workspace.paths.ledger, noted)


def _noted(submission: Submission, ids: Collection[str]) -> Submission:
    array_jobs = tuple(
        replace(job, cancelled=True) if job.job_id in ids else job for job in submission.array_jobs
    )
    return replace(submission, array_jobs=array_jobs)


def _shortened(jobs: Sequence[str]) -> list[str]:
    """Return the ids; whole arrays where they are too many."""
    return list(jobs) if len(jobs) <= MAX_IDS else sorted({job.partition("_")[0] for job in jobs})
