"""What a retry does differently: more memory for what died of it, no node that spoils its jobs."""

import math
from collections.abc import Collection, Mapping

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.execution.diagnosis import (
    BadEnd,
    bad_end,
    died_of_memory,
    latest_elements,
    log_paths,
    log_tail,
)
from panic_hpc.execution.inquiry import Inquiry
from panic_hpc.types import ShardId

MORE_MEMORY = 2


def memory_factors(found: Inquiry, cluster: Cluster) -> Mapping[ShardId, int]:
    """Return what multiplies the profile's memory for each shard that died of memory."""
    elements = latest_elements(found.ledger)
    factors = {}
    for shard in _ended_badly(found):
        chunk = elements.get(shard)
        log = "".join(log_tail(path) for path in log_paths(*chunk)) if chunk else ""
        if died_of_memory(shard, found.seen.failures.get(shard), found.queue.get(shard), log):
            asked = chunk[0].options.get("mem_gb") if chunk else None
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


def bad_ends(found: Inquiry, out_of_memory: Collection[ShardId]) -> list[BadEnd]:
    """Return the bad ends of failed and lost shards that a node may be to blame for."""
    claims_of = {shard: claim for shard, (claim, _) in found.seen.claims.items()}
    return [
        bad_end(found.seen.failures.get(shard), claims_of.get(shard), found.queue.get(shard))
        for shard in _ended_badly(found)
        if shard not in out_of_memory
    ]


def _ended_badly(found: Inquiry) -> list[ShardId]:
    return [one.shard.id for one in found.status.all() if one.state in ("failed", "lost")]
