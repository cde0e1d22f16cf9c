"""What the diagrams stage will take: core seconds by the lengths of trajectories."""

from typing import TYPE_CHECKING

from panic_hpc.homology.cost import cost
from panic_hpc.homology.null_models import NULL_MODELS
from panic_hpc.stages.base import Estimate
from panic_hpc.stages.embeddings.estimate import dimension_of, vectors_per_run

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

BAR_BYTES = 8
# Over all homology dimensions.
BARS_PER_POINT = 3


def estimate_diagrams(manifest: "Manifest") -> Estimate:
    """Return what the stage takes if all points of a trajectory are distinct; rough on purpose."""
    seconds = nbytes = 0.0
    clouds = 1 + len(NULL_MODELS) * manifest.experiment.homology.surrogates
    for model in manifest.embedding_models:
        for network, n in vectors_per_run(manifest, model):
            one = cost(n, dimension_of(model), manifest.experiment.homology.maxdim)
            seconds += network.n_runs * clouds * one.seconds
            nbytes += network.n_runs * BAR_BYTES * BARS_PER_POINT * n
    return Estimate(gpu_seconds=0.0, cpu_seconds=seconds, nbytes=nbytes)
