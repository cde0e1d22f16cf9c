"""What the embeddings stage will take, and how many embeddings a run has; rough on purpose."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from panic_hpc.stages.base import Estimate
from panic_hpc.types import TEXT, ModelSpec

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# That of upstream's models; who sets a dimension is believed.
DIMENSION = 768


def estimate_embeddings(manifest: "Manifest") -> Estimate:
    """Return what all embeddings take if no loop ends a run early."""
    each = [(network.n_runs, run) for network, run in _estimates(manifest)]
    return Estimate(
        gpu_seconds=sum(n * run.gpu_seconds for n, run in each),
        cpu_seconds=0.0,
        nbytes=sum(n * run.nbytes for n, run in each),
    )


def estimate_longest_shard(manifest: "Manifest") -> Estimate:
    """Return what the shard of the costliest network and embedding model takes."""
    shards = [
        run.times(min(network.runs_per_shard, network.n_runs))
        for network, run in _estimates(manifest)
    ]
    return max(shards, key=lambda shard: shard.gpu_seconds, default=Estimate(0.0, 0.0, 0.0))


def _estimates(manifest: "Manifest") -> "Iterator[tuple[Network, Estimate]]":
    """Yield what a run of each network takes under each embedding model."""
    for model in manifest.embedding_models:
        for network in manifest.networks:
            n = rows_per_run(network, model)
            yield network, Estimate(n * manifest.seconds[model.name], 0.0, n * 4 * dimension(model))


def rows_per_run(network: "Network", model: ModelSpec) -> int:
    """Return the number of embeddings of a run of full length, the prompt's included."""
    places = [place for place, m in enumerate(network.models) if m.produces == model.consumes]
    n = sum(len(range(p, network.max_length, len(network.models))) for p in places)
    return n + (model.consumes == TEXT)


def dimension(model: ModelSpec) -> int:
    """Return the length of a model's vectors: as its settings say, else that of most models."""
    value = model.settings.get("dimension")
    return value if isinstance(value, int) else DIMENSION
