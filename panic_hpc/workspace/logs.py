"""The logs of workers: which file is a shard's, and what its events add up to."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from panic_hpc.types import ShardId
from panic_hpc.workspace.events import read_events, shard_name
from panic_hpc.workspace.ledger import ArrayJob, Submission, read_ledger
from panic_hpc.workspace.workspace import Workspace

# A retry reads one tail for each shard that ended badly.
LOG_TAIL_BYTES = 8192


def logs_of(workspace: Workspace, shard: ShardId) -> list[Path]:
    """Return the logs of the last submission of `shard`, in which it is mentioned where it can be.

    A local worker's log tells of many shards; an array task's of its own, requeues included.
    """
    found = latest_array_tasks(read_ledger(workspace.paths.ledger)).get(shard)
    if found is None:
        return []
    paths = log_paths(*found)
    name = shard_name(shard.stage, shard.index)
    return [path for path in paths if _mentions(path, name)] or paths


def _mentions(path: Path, name: str) -> bool:
    try:
        # The whole log, but of one shard: its only mention may be far from the end.
        return name in path.read_text(errors="replace")
    except OSError:
        return False


def array_tasks(workspace: Workspace) -> Iterator[tuple[ArrayJob, list[dict[str, Any]]]]:
    """Yield every array task that was ever submitted, with the events of its logs."""
    for submission in read_ledger(workspace.paths.ledger):
        for array_job in submission.array_jobs:
            for position in range(len(array_job.tasks)):
                # Tails only, for thousands of logs are read: what a long log said earlier is not
                # counted.
                texts = (log_tail(path) for path in log_paths(array_job, position))
                yield array_job, [event for text in texts for event in read_events(text)]


def latest_array_tasks(ledger: Iterable[Submission]) -> Mapping[ShardId, tuple[ArrayJob, int]]:
    """Return the array job and the position in it in which each shard was submitted last."""
    found: dict[ShardId, tuple[ArrayJob, int]] = {}
    for submission in ledger:
        for array_job in submission.array_jobs:
            for position, task in enumerate(array_job.tasks):
                found |= {ShardId(array_job.stage, index): (array_job, position) for index in task}
    return found


def log_paths(array_job: ArrayJob, position: int) -> list[Path]:
    """Return the logs of one array task: one a process of it, none where they are gone."""
    folder = Path(array_job.folder)
    if not array_job.job_id:
        return sorted(folder.glob("*_log.out"))
    return sorted(folder.glob(f"{array_job.task_id(position)}_*_log.out"))


def log_tail(path: Path, nbytes: int = LOG_TAIL_BYTES) -> str:
    """Return the end of a log, "" where it cannot be read (another user's)."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - nbytes))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
