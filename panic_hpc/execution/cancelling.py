"""Cancelling: jobs and local processes that work on an experiment, and the ledger's note."""

import os
import signal
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from panic_hpc.execution import scheduler
from panic_hpc.execution.dispatch import only_submitter
from panic_hpc.execution.experiment import Experiment
from panic_hpc.execution.identity import is_running
from panic_hpc.execution.inquiry import Inquiry
from panic_hpc.execution.ledger import Submission, read_ledger, write_submission


def active_jobs(found: Inquiry, stages: Collection[str]) -> list[str]:
    """Return the ids of array tasks and jobs that are still to run or running; pure."""
    active = {
        entry.job
        for shard, entry in found.queue.items()
        if shard.stage in stages and entry.is_active
    }
    return sorted(active)


def local_workers(found: Inquiry, stages: Collection[str]) -> list[int]:
    """Return the pids of workers on this machine, outside of Slurm, that hold a claim."""
    return sorted(
        {
            claim.owner.pid
            for shard, (claim, worth) in found.seen.claims.items()
            if shard.stage in stages
            and worth == "held"
            and not claim.owner.slurm.job
            # A fresh claim may be another host's, where the pid means something else.
            and is_running(claim.owner)
        }
    )


def cancel(experiment: Experiment, jobs: Sequence[str], pids: Sequence[int]) -> None:
    """Cancel `jobs`, end `pids` at their next checkpoint, and note it in the ledger."""
    # A submission under way holds the ledger's entry in memory and would write over the note.
    with only_submitter(experiment):
        scheduler.cancel_jobs(_shortened(jobs))
        # Without the note, jobs that squeue has forgotten would count as lost.
        for submission in read_ledger(experiment.paths.ledger):
            noted = _noted(submission, {job.partition("_")[0] for job in jobs})
            if noted != submission:
                write_submission(experiment.paths.ledger, noted)
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
