"""Why shards ended badly, as far as it decides how they are tried again. Pure but for log tails."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.execution.claims import Claim
from panic_hpc.execution.failures import MEMORY_WORDS, Failure
from panic_hpc.execution.ledger import Chunk, Submission
from panic_hpc.execution.status import QueueEntry
from panic_hpc.types import ShardId

# A retry reads one tail for each shard that ended badly.
LOG_TAIL_BYTES = 8192
KILLED_FOR_MEMORY = (*MEMORY_WORDS, "exceeded memory", "out_of_memory")
LOST = "lost"
# A single job that ends badly says nothing about its node.
MIN_JOBS_ON_A_BAD_NODE = 2


@dataclass(frozen=True, slots=True)
class BadEnd:
    """One shard's bad end: its kind (an error's type, or LOST), its node and its job."""

    kind: str
    node: str
    job: str


def bad_end(failure: Failure | None, claim: Claim | None, entry: QueueEntry | None) -> BadEnd:
    """Return how a failed or lost shard ended, by its record, its claim or the scheduler.

    A node on which jobs die before they can say anything is known from the scheduler alone.
    """
    if failure is not None:
        return BadEnd(failure.kind, failure.host, failure.job)
    if claim is not None and claim.progress.kind == "running":
        return BadEnd(LOST, claim.owner.slurm.node, claim.owner.slurm.label)
    return BadEnd(LOST, entry.nodes, entry.job) if entry is not None else BadEnd(LOST, "", "")


def bad_nodes(ends: Collection[BadEnd]) -> tuple[str, ...]:
    """Return the nodes on which several jobs came to a bad end of a kind found nowhere else.

    What fails on several nodes is the work's fault; what died of memory must not be among `ends`.
    """
    nodes_of_kind: dict[str, set[str]] = defaultdict(set)
    for end in ends:
        nodes_of_kind[end.kind].add(end.node)
    alone = {end for end in ends if end.node and len(nodes_of_kind[end.kind]) == 1}
    # Jobs and not shards: a job of many shards that dies is one event.
    counts = Counter(node for node, _ in {(end.node, end.job) for end in alone})
    return tuple(sorted(n for n, jobs in counts.items() if jobs >= MIN_JOBS_ON_A_BAD_NODE))


def died_of_memory(
    shard: ShardId, failure: Failure | None, entry: QueueEntry | None, log: str
) -> bool:
    """Return whether a failed or lost shard died of memory, by its record, Slurm or its log."""
    if failure is not None:
        return failure.memory
    if entry is not None and entry.state == "OUT_OF_MEMORY":
        return True
    # The OOM killer leaves no record, and Slurm forgets a job after MinJobAge; the log stays.
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
