"""Cancelling: jobs and local processes that work on an experiment, and the ledger's note."""

import os
import signal
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from panic_hpc.backends.slurm import queue
from panic_hpc.backends.slurm.backend import only_submitter
from panic_hpc.backends.slurm.status_query import StatusSnapshot
from panic_hpc.workspace.ledger import Submission, read_ledger, write_submission
from panic_hpc.workspace.process import is_running
from panic_hpc.workspace.workspace import Workspace


def active_jobs(found: StatusSnapshot, stages: Collection[str]) -> list[str]:
    """Return the ids of array tasks and jobs that are still to run or running; pure."""
    active = {
        entry.job
        for shard, entry in found.queue.items()
        if shard.stage in stages and entry.is_active
    }
    return sorted(active)


def local_workers(found: StatusSnapshot, stages: Collection[str]) -> list[int]:
    """Return the pids of workers on this machine, outside of Slurm, that hold a lease."""
    return sorted(
        {
            lease.owner.pid
            for shard, (lease, state) in found.seen.leases.items()
            if shard.stage in stages
            and state == "held"
            and not lease.owner.slurm.job
            # A fresh lease may be another host's, where the pid means something else.
            and is_running(lease.owner)
        }
    )


def cancel(workspace: Workspace, jobs: Sequence[str], pids: Sequence[int]) -> None:
    """Cancel `jobs`, end `pids` at their next checkpoint, and note it in the ledger."""
    # A submission under way holds the ledger's entry in memory and would write over the note.
    with only_submitter(workspace):
        queue.cancel_jobs(_shortened(jobs))
        # Without the note, jobs that squeue has forgotten would count as lost.
        for submission in read_ledger(workspace.paths.ledger):
            noted = _noted(submission, {job.partition("_")[0] for job in jobs})
            if noted != submission:
                write_submission(workspace.paths.ledger, noted)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _noted(submission: Submission, ids: Collection[str]) -> Submission:
    chunks = tuple(
        replace(chunk, cancelled=True) if chunk.job_id in ids else chunk
        for chunk in submission.chunks
    )
    return replace(submission, chunks=chunks)


def _shortened(jobs: Sequence[str], limit: int = 500) -> list[str]:
    """Return the ids; whole arrays where they are too many for a command line."""
    return list(jobs) if len(jobs) <= limit else sorted({job.partition("_")[0] for job in jobs})
