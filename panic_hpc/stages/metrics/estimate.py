"""What the metrics stage will take, from its metrics' costs; rough on purpose."""

from typing import TYPE_CHECKING

from panic_hpc.stages.base import Estimate

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network
    from panic_hpc.types import ModelSpec

# Its step, flags, a place in the table of reasons, and a few components.
ROW_BYTES = 64


def estimate_metrics(manifest: "Manifest", models: "tuple[ModelSpec, ...]") -> Estimate:
    """Return what all scores take if no loop ends a run early."""
    each = [
        (network.n_runs * _rows_per_run(network, model), manifest.seconds[model.name])
        for model in models
        for network in manifest.networks
    ]
    seconds = sum(n * cost for n, cost in each)
    return Estimate(seconds, 0.0, ROW_BYTES * sum(n for n, _ in each))


def estimate_longest_shard(manifest: "Manifest", models: "tuple[ModelSpec, ...]") -> Estimate:
    """Return what the shard of the costliest network and metric takes."""
    shards = [
        Estimate(manifest.seconds[model.name], 0.0, ROW_BYTES).times(
            _rows_per_run(network, model) * min(network.runs_per_shard, network.n_runs)
        )
        for model in models
        for network in manifest.networks
    ]
    return max(shards, key=lambda shard: shard.gpu_seconds, default=Estimate(0.0, 0.0, 0.0))


def _rows_per_run(network: "Network", model: "ModelSpec") -> int:
    places = [place for place, m in enumerate(network.models) if m.produces == model.consumes]
    return sum(len(range(p, network.max_length, len(network.models))) for p in places)
