"""What the diagrams stage will take if every trajectory has distinct points only; rough."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from panic_hpc.homology.cost import LAZY_MAXDIM, cost, worst_loops
from panic_hpc.homology.null_models import NULL_MODELS
from panic_hpc.stages.base import Estimate
from panic_hpc.stages.diagrams.one_diagram import DiagramSettings
from panic_hpc.stages.embeddings.estimate import dimension, rows_per_run

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# 8 bytes a bar, and about three bars a point over all dimensions.
BYTES_PER_POINT = 8 * 3

POOL_PAYS_S = 10.0
"""Predicted seconds of all diagrams from which on processes of their own are started for them.

Each of them imports NumPy and the engine first, which takes a second or more.
"""

TINY_CLOUD = 64
"""Points of which every engine has the diagram in less than a second."""


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


def pays_a_pool(sizes: Collection[int], vector_size: int, settings: DiagramSettings) -> bool:
    """Whether diagrams of clouds of so many points are worth processes of their own."""
    # What else takes is not predicted; on tiny clouds it is as little.
    if settings.maxdim > LAZY_MAXDIM:
        return True
    if settings.engine != "lazy" and max(sizes, default=0) > TINY_CLOUD:
        return True
    n_clouds = 1 + len(NULL_MODELS) * settings.surrogates
    # As if all were noise, which takes longest.
    seconds = (
        cost(size, vector_size, settings.maxdim, worst_loops(size)).seconds for size in sizes
    )
    return n_clouds * sum(seconds) >= POOL_PAYS_S


def _estimates(manifest: "Manifest") -> "Iterator[tuple[Network, Estimate]]":
    """Yield what a run of each network takes under each embedding model."""
    homology = manifest.experiment.homology
    n_clouds = 1 + len(NULL_MODELS) * homology.surrogates
    for model in manifest.embedding_models:
        for network in manifest.networks:
            n = rows_per_run(network, model)
            seconds = cost(n, dimension(model), homology.maxdim).seconds
            yield network, Estimate(0.0, n_clouds * seconds, BYTES_PER_POINT * n)
