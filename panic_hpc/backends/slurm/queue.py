"""What Slurm is asked: one squeue a status, its limits, cancelling; and what its answers mean."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from panic_hpc.backends.slurm.commands import answer_of
from panic_hpc.types import ShardId
from panic_hpc.workspace.ledger import ArrayJob, Submission
from panic_hpc.workspace.status import QueueEntry

# The reason last: it alone may hold any text, so the split stops before it.
FORMAT = "%F|%K|%T|%N|%j|%r"
NO_ANSWER = "NO_ANSWER"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of squeue: array tasks `tasks`, or a job without any (empty)."""

    job: str
    tasks: tuple[int, ...]
    state: str
    nodes: str
    name: str
    reason: str


def rows_of(names: Iterable[str]) -> list[QueueRow]:
    """Ask squeue, once, for the jobs with these names, ended ones too while it remembers them."""
    wanted = ",".join(sorted(names))
    if not wanted:
        return []
    # 0 asks for whole lists of array tasks; the default cuts them off after 64 characters.
    env = {**os.environ, "SLURM_BITSTR_LEN": "0"}
    # By name, which is known even where sbatch's answer was lost; squeue and not sacct, which some
    # sites lack. All states: ended jobs are known for MinJobAge.
    options = ("--noheader", "--states=all", f"--name={wanted}", "-o", FORMAT)
    lines = answer_of("squeue", *options, env=env).splitlines()
    return [parse_row(line) for line in lines if line.count("|") >= 5]


def parse_row(line: str) -> QueueRow:
    """Return one line of squeue in FORMAT."""
    job, tasks, state, nodes, name, reason = (part.strip() for part in line.split("|", 5))
    return QueueRow(job, tuple(parse_tasks(tasks)), state, nodes, name, reason)


def parse_tasks(text: str) -> Iterator[int]:
    """Yield the numbers of a list of array tasks such as `3`, `0-4,7`, `[0-8:2%4]`; none of N/A."""
    for first, last, step in re.findall(r"(\d+)(?:-(\d+))?(?::(\d+))?", text.partition("%")[0]):
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def queue_of(
    ledger: Sequence[Submission], rows: Sequence[QueueRow] | None
) -> dict[ShardId, QueueEntry]:
    """Return what the scheduler says of each shard that was ever submitted to it; pure.

    `rows` is None where it gave no answer: then everything submitted counts as still submitted.
    Of several jobs that have a shard in their lists, one that is active counts, else the last.
    """
    # -1 stands for a job that is no array.
    states = {(row.job, task): row for row in rows or () for task in row.tasks or (-1,)}
    jobs = {row.name: row.job for row in rows or ()}
    found: dict[ShardId, QueueEntry] = {}
    for submission in ledger:
        for array_job in submission.array_jobs if submission.executor == "slurm" else ():
            for shard, entry in _entries(array_job, states, jobs, answered=rows is not None):
                if shard not in found or not found[shard].is_active or entry.is_active:
                    found[shard] = entry
    return found


def _entries(
    array_job: ArrayJob,
    states: Mapping[tuple[str, int], QueueRow],
    jobs: Mapping[str, str],
    *,
    answered: bool,
) -> Iterator[tuple[ShardId, QueueEntry]]:
    job = array_job.job_id or jobs.get(array_job.job_name, "")
    # Without an answer it may be queued all the same: its id is then nobody's to know.
    if answered and not job:
        return
    for position, indices in enumerate(array_job.tasks):
        row = states.get((job, position if array_job.is_array else -1))
        # Nothing is lost where somebody cancelled it: its shards are eligible again.
        if row is None and answered and array_job.cancelled:
            continue
        label = f"{job}_{position}" if job and array_job.is_array else job
        for index in indices:
            yield ShardId(array_job.stage, index), _entry(label, row, array_job, answered=answered)


def _entry(job: str, row: QueueRow | None, array_job: ArrayJob, *, answered: bool) -> QueueEntry:
    if row is not None:
        return QueueEntry(job, row.state, row.reason, row.nodes, array_job.submitted)
    return QueueEntry(job, "" if answered else NO_ANSWER, submitted=array_job.submitted)


def open_names(ledger: Sequence[Submission], unfinished: Collection[ShardId]) -> set[str]:
    """Return the names of the jobs that could still work on an unfinished shard, or hold one up.

    Others are left out, or the command line would grow with every submission. Pure.
    """
    sent = [job for one in ledger if one.executor == "slurm" for job in one.array_jobs]
    by_id = {job.job_id: job for job in sent if job.job_id}
    asked: dict[str, ArrayJob] = {}
    todo = [job for job in sent if _has_any(job, unfinished)]
    while todo:
        job = todo.pop()
        if job.job_name not in asked:
            asked[job.job_name] = job
            # Of what it waits for, all shards may be done: a job of them that never begins holds up
            # what is behind it for ever, and only who knows of it can cancel it.
            todo += [by_id[waited] for waited in _waits_for(job) if waited in by_id]
    return set(asked)


def _has_any(job: ArrayJob, shards: Collection[ShardId]) -> bool:
    return any(ShardId(job.stage, index) in shards for task in job.tasks for index in task)


def _waits_for(job: ArrayJob) -> list[str]:
    """Return the ids, without positions, in the value of --dependency."""
    return [waited.partition("_")[0] for waited in job.dependency.split(":")[1:]]


def cancel_jobs(ids: Sequence[str]) -> None:
    """Cancel jobs and array tasks by id; LaunchError where Slurm refuses."""
    if ids:
        answer_of("scancel", *ids)
