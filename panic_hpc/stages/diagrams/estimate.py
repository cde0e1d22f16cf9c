"""What the diagrams stage will take if every trajectory has distinct points only; rough."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from panic_hpc.homology.cost import cost
from panic_hpc.homology.null_models import NULL_MODELS
from panic_hpc.stages.base import Estimate
from panic_hpc.stages.embeddings.estimate import dimension, rows_per_run

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# 8 bytes a bar, and about three bars a point over all dimensions.
BYTES_PER_POINT = 8 * 3


def estimate_diagrams(manifest: "Manifest") -> Estimate:
    """Return the core seconds and bytes of all diagrams."""
    each = [(network.n_runs, run) for network, run in _estimates(manifest)]
    return Estimate(
        gpu_seconds=0.0,
        cpu_seconds=sum(n * run.cpu_seconds for n, run in each),
        nbytes=sum(n * run.nbytes for n, run in each),
    )


def estimate_longest_shard(manifest: "Manifest", runs_per_shard: int) -> Estimate:
    """Return what a shard takes whose runs are all of the costliest network and model."""
    runs = [run for _, run in _estimates(manifest)]
    longest = max(runs, key=lambda run: run.cpu_seconds, default=Estimate(0.0, 0.0, 0.0))
    return longest.times(min(runs_per_shard, manifest.n_runs))


def _estimates(manifest: "Manifest") -> "Iterator[tuple[Network, Estimate]]":
    """Yield what a run of each network takes under each embedding model."""
    homology = manifest.experiment.homology
    n_clouds = 1 + len(NULL_MODELS) * homology.surrogates
    for model in manifest.embedding_models:
        for network in manifest.networks:
            n = rows_per_run(network, model)
            seconds = cost(n, dimension(model), homology.maxdim).seconds
            yield network, Estimate(0.0, n_clouds * seconds, BYTES_PER_POINT * n)
