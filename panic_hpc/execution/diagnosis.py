"""Why shards ended badly, as far as it decides how they are tried again. Pure but for log tails."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from panic_hpc.execution.failures import MEMORY_WORDS, Failure
from panic_hpc.execution.ledger import Chunk, Submission
from panic_hpc.execution.status import QueueEntry
from panic_hpc.types import ShardId

LOG_TAIL_BYTES = 8192
KILLED_FOR_MEMORY = (*MEMORY_WORDS, "exceeded memory", "out_of_memory")
MIN_FAILURES_OF_A_BAD_NODE = 2


def bad_nodes(failures: Iterable[Failure]) -> tuple[str, ...]:
    """Return the nodes with repeated failures of a kind that happens nowhere else.

    What fails on several nodes is the work's fault, and memory is the request's.
    """
    hosts_of_kind: dict[str, set[str]] = defaultdict(set)
    for failure in failures:
        hosts_of_kind[failure.kind].add(failure.host)
    counts = Counter(
        failure.host
        for failure in failures
        if failure.host and not failure.memory and len(hosts_of_kind[failure.kind]) == 1
    )
    return tuple(sorted(h for h, n in counts.items() if n >= MIN_FAILURES_OF_A_BAD_NODE))


def died_of_memory(
    shard: ShardId, failure: Failure | None, entry: QueueEntry | None, log: str
) -> bool:
    """Return whether a failed or lost shard died of memory, by its record, Slurm or its log."""
    if failure is not None:
        return failure.memory
    if entry is not None and entry.state == "OUT_OF_MEMORY":
        return True
    return any(word in log.lower() for word in KILLED_FOR_MEMORY)


def latest_elements(ledger: Iterable[Submission]) -> Mapping[ShardId, tuple[Chunk, int]]:
    """Return the chunk and position in which each shard was submitted last."""
    found: dict[ShardId, tuple[Chunk, int]] = {}
    for submission in ledger:
        for chunk in submission.chunks:
            for position, element in enumerate(chunk.elements):
                found |= {ShardId(chunk.stage, index): (chunk, position) for index in element}
    return found


def log_paths(chunk: Chunk, position: int) -> list[Path]:
    """Return the logs of one element: one for each of its tasks, none where they are gone."""
    folder = Path(chunk.folder)
    if not chunk.job_id:
        return sorted(folder.glob("*_log.out"))
    return sorted(folder.glob(f"{chunk.element_id(position)}_*_log.out"))


def log_tail(path: Path, nbytes: int = LOG_TAIL_BYTES) -> str:
    """Return the end of a log, "" where it cannot be read (another user's)."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - nbytes))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
