"""What the embeddings stage will take, and how many vectors of what size it makes."""

from typing import TYPE_CHECKING

from panic_hpc.stages.base import Estimate
from panic_hpc.types import TEXT, ModelSpec

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# That of upstream's models; who sets a dimension is believed.
DIMENSION = 768


def estimate_embeddings(manifest: "Manifest") -> Estimate:
    """Return what the embeddings stage takes if no loop ends a run early; rough on purpose."""
    seconds = nbytes = 0.0
    for model in manifest.embedding_models:
        count = sum(n * network.n_runs for network, n in vectors_per_run(manifest, model))
        seconds += count * manifest.seconds[model.name]
        nbytes += count * 4 * dimension_of(model)
    return Estimate(gpu_seconds=seconds, cpu_seconds=0.0, nbytes=nbytes)


def vectors_per_run(manifest: "Manifest", model: ModelSpec) -> "list[tuple[Network, int]]":
    """Return the number of embeddings of one run of each network, the prompt's included."""
    rows = []
    for network in manifest.networks:
        places = [place for place, m in enumerate(network.models) if m.produces == model.consumes]
        n = sum(len(range(p, network.max_length, len(network.models))) for p in places)
        rows.append((network, n + (model.consumes == TEXT)))
    return rows


def dimension_of(model: ModelSpec) -> int:
    """Return the length of an embedding model's vectors, as its settings say or as is usual."""
    dimension = model.settings.get("dimension")
    return dimension if isinstance(dimension, int) else DIMENSION
