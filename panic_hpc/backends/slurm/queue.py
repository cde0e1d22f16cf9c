"""What Slurm is asked: one squeue a status, its limits, cancelling; and what its answers mean."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from panic_hpc.backends.slurm.commands import ask
from panic_hpc.errors import LaunchError
from panic_hpc.types import ShardId
from panic_hpc.workspace.ledger import ArrayJob, Submission
from panic_hpc.workspace.status import QueueEntry

# The reason last: it alone may hold any text, so the split stops before it.
FORMAT = "%F|%K|%T|%N|%j|%r"
NO_ANSWER = "NO_ANSWER"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of squeue: elements `tasks` of an array, or a job without any (empty)."""

    job: str
    tasks: tuple[int, ...]
    state: str
    nodes: str
    name: str
    reason: str


def answer(*command: str) -> str:
    """Return what a Slurm command prints; LaunchError with its complaint where it fails."""
    said = ask(*command)
    if said.code:
        raise LaunchError(f"{command[0]} failed: {said.problem}")
    return said.out


def rows_of(names: Iterable[str]) -> list[QueueRow]:
    """Ask squeue, once, for the jobs with these names, ended ones too while it remembers them."""
    wanted = ",".join(sorted(names))
    if not wanted:
        return []
    # 0 asks for whole lists of array tasks; the default cuts them off after 64 characters.
    os.environ["SLURM_BITSTR_LEN"] = "0"
    # By name, which is known even where sbatch's answer was lost; squeue and not sacct, which some
    # sites lack. All states: ended jobs are known for MinJobAge.
    told = answer("squeue", "--noheader", "--states=all", f"--name={wanted}", "-o", FORMAT)
    return [parse_row(line) for line in told.splitlines() if line.count("|") >= 5]


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
        for chunk in submission.chunks if submission.executor == "slurm" else ():
            for shard, entry in _entries(chunk, states, jobs, answered=rows is not None):
                if shard not in found or not found[shard].is_active or entry.is_active:
                    found[shard] = entry
    return found


def _entries(
    chunk: ArrayJob,
    states: Mapping[tuple[str, int], QueueRow],
    jobs: Mapping[str, str],
    *,
    answered: bool,
) -> Iterator[tuple[ShardId, QueueEntry]]:
    job = chunk.job_id or jobs.get(chunk.job_name, "")
    if not job:
        return
    for position, indices in enumerate(chunk.elements):
        row = states.get((job, position if chunk.is_array else -1))
        # Nothing is lost where somebody cancelled it: its shards are eligible again.
        if row is None and answered and chunk.cancelled:
            continue
        label = f"{job}_{position}" if chunk.is_array else job
        for index in indices:
            yield ShardId(chunk.stage, index), _entry(label, row, chunk, answered=answered)


def _entry(job: str, row: QueueRow | None, chunk: ArrayJob, *, answered: bool) -> QueueEntry:
    if row is not None:
        return QueueEntry(job, row.state, row.reason, row.nodes, chunk.submitted)
    return QueueEntry(job, "" if answered else NO_ANSWER, submitted=chunk.submitted)


def open_names(ledger: Sequence[Submission], unfinished: frozenset[ShardId]) -> set[str]:
    """Return the names of the jobs that could still work on an unfinished shard; pure."""
    return {
        chunk.job_name
        for submission in ledger
        if submission.executor == "slurm"
        for chunk in submission.chunks
        # Finished chunks are left out, or the command line would grow with every submission.
        if any(ShardId(chunk.stage, i) in unfinished for e in chunk.elements for i in e)
    }


def cancel_jobs(ids: Sequence[str]) -> None:
    """Cancel jobs and array tasks by id; LaunchError where Slurm refuses."""
    if ids:
        answer("scancel", *ids)
