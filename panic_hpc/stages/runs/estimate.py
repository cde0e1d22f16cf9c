"""What the runs stage will take: seconds from the models' costs, bytes from settings; rough."""

from typing import TYPE_CHECKING

from panic_hpc.stages.base import Estimate
from panic_hpc.types import IMAGE, ModelSpec

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# About 100 tokens of a captioner that was asked to describe.
TEXT_BYTES = 400
ROW_BYTES = 64
IMAGE_SIDE = 512
# Of raw RGB: lossless WebP reached 0.63 to 0.68 at 1024 by 1024.
LOSSLESS_SHARE = 0.65


def estimate_runs(manifest: "Manifest") -> Estimate:
    """Return what all runs take if no loop ends one early."""
    each = [(network.n_runs, _estimate_run(manifest, network)) for network in manifest.networks]
    return Estimate(
        gpu_seconds=sum(n * run.gpu_seconds for n, run in each),
        cpu_seconds=0.0,
        nbytes=sum(n * run.nbytes for n, run in each),
    )


def estimate_longest_shard(manifest: "Manifest") -> Estimate:
    """Return what the shard of the costliest network takes."""
    shards = [
        _estimate_run(manifest, network).times(min(network.runs_per_shard, network.n_runs))
        for network in manifest.networks
    ]
    return max(shards, key=lambda shard: shard.gpu_seconds)


def _estimate_run(manifest: "Manifest", network: "Network") -> Estimate:
    keep_every = manifest.experiment.images.keep_every
    seconds = nbytes = 0.0
    for place, model in enumerate(network.models):
        count = len(range(place, network.max_length, len(network.models)))
        seconds += count * manifest.seconds[model.name]
        nbytes += count * (ROW_BYTES + _output_bytes(model, keep_every))
    return Estimate(gpu_seconds=seconds, cpu_seconds=0.0, nbytes=nbytes)


def _output_bytes(model: ModelSpec, keep_every: int) -> float:
    if model.produces != IMAGE:
        return TEXT_BYTES
    sides = [model.settings.get(name) or model.settings.get("size") for name in ("height", "width")]
    height, width = (side if isinstance(side, int) else IMAGE_SIDE for side in sides)
    return LOSSLESS_SHARE * 3 * height * width / keep_every if keep_every else 0.0
