"""What a retry does differently: more memory for what died of it, no node that spoils its jobs.

All of it is pure but for the tails of logs that are read.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from panic_hpc.backends.status_query import StatusSnapshot
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.types import ShardId
from panic_hpc.workspace.failures import MEMORY_WORDS, Failure
from panic_hpc.workspace.lease_text import Lease
from panic_hpc.workspace.logs import latest_array_tasks, log_paths, log_tail
from panic_hpc.workspace.status import QueueEntry

MORE_MEMORY = 2
KILLED_FOR_MEMORY = (*MEMORY_WORDS, "exceeded memory", "out_of_memory")
LOST = "lost"
# A single job that ends badly says nothing about its node.
MIN_JOBS_ON_A_BAD_NODE = 2


@dataclass(frozen=True, slots=True)
class ShardFailure:
    """One shard's bad end: its kind (an error's type, or LOST), its node and its job."""

    kind: str
    node: str
    job: str


def shard_failure(
    failure: Failure | None, lease: Lease | None, entry: QueueEntry | None
) -> ShardFailure:
    """Return how a failed or lost shard ended, by its record, its lease or the scheduler.

    A node on which jobs die before they can say anything is known from the scheduler alone.
    """
    if failure is not None:
        return ShardFailure(failure.kind, failure.host, failure.job)
    if lease is not None and lease.progress.kind == "running":
        return ShardFailure(LOST, lease.owner.slurm.node, lease.owner.slurm.label)
    return (
        ShardFailure(LOST, entry.nodes, entry.job)
        if entry is not None
        else ShardFailure(LOST, "", "")
    )


def bad_nodes(ends: Collection[ShardFailure]) -> tuple[str, ...]:
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


def memory_factors(snapshot: StatusSnapshot, cluster: Cluster) -> Mapping[ShardId, int]:
    """Return what multiplies the profile's memory for each shard that died of memory."""
    latest = latest_array_tasks(snapshot.ledger)
    factors = {}
    for shard in _ended_badly(snapshot):
        task = latest.get(shard)
        log = "".join(log_tail(path) for path in log_paths(*task)) if task else ""
        if died_of_memory(
            shard, snapshot.files.failures.get(shard), snapshot.queue.get(shard), log
        ):
            asked = task[0].options.get("mem_gb") if task else None
            factors[shard] = memory_factor(asked, cluster.stage(shard.stage).mem_gb)
    return factors


def memory_factor(asked_gb: float | None, profile_gb: float | None) -> int:
    """Return by what the profile's memory becomes more than was asked for last; pure.

    A profile that was corrected in between, to that much or above, is believed as it is.
    """
    if not asked_gb or not profile_gb:
        return MORE_MEMORY
    # Whole numbers: every different factor makes an array of its own.
    return max(1, math.ceil(MORE_MEMORY * asked_gb / profile_gb))


def shard_failures(
    snapshot: StatusSnapshot, out_of_memory: Collection[ShardId]
) -> list[ShardFailure]:
    """Return the bad ends of failed and lost shards that a node may be to blame for."""
    leases_of = {shard: lease for shard, (lease, _) in snapshot.files.leases.items()}
    return [
        shard_failure(
            snapshot.files.failures.get(shard), leases_of.get(shard), snapshot.queue.get(shard)
        )
        for shard in _ended_badly(snapshot)
        if shard not in out_of_memory
    ]


def _ended_badly(snapshot: StatusSnapshot) -> list[ShardId]:
    return [one.shard.id for one in snapshot.status.all() if one.state in ("failed", "lost")]
