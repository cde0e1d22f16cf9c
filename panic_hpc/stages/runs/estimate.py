"""What the runs stage will take: seconds from the models' costs, bytes from settings; rough."""

from typing import TYPE_CHECKING

import numpy as np

from panic_hpc.stages.base import Estimate
from panic_hpc.types import IMAGE, ModelSpec

if TYPE_CHECKING:
    from panic_hpc.experiment.config import Images
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# About 100 tokens of a captioner that was asked to describe.
TEXT_BYTES = 400
ROW_BYTES = 64
IMAGE_SIDE = 512
# Of raw RGB: lossless WebP reached 0.63 to 0.68 at 1024 by 1024.
LOSSLESS_SHARE = 0.65
# AVIF's by its quality, for photographs at their sharpest: docs/format.md has what was measured.
_QUALITIES = (1, 25, 50, 75, 90, 100)
_SHARES = (0.005, 0.01, 0.03, 0.07, 0.12, 0.5)


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
    images = manifest.experiment.images
    seconds = nbytes = 0.0
    for place, model in enumerate(network.models):
        count = len(range(place, network.max_length, len(network.models)))
        seconds += count * manifest.seconds[model.name]
        nbytes += count * (ROW_BYTES + _output_bytes(model, images))
    return Estimate(gpu_seconds=seconds, cpu_seconds=0.0, nbytes=nbytes)


def _output_bytes(model: ModelSpec, images: "Images") -> float:
    if model.produces != IMAGE:
        return TEXT_BYTES
    sides = [model.settings.get(name) or model.settings.get("size") for name in ("height", "width")]
    height, width = (side if isinstance(side, int) else IMAGE_SIDE for side in sides)
    kept = 1 / images.keep_every if images.keep_every else 0.0
    return stored_share(images.quality) * 3 * height * width * kept


def stored_share(quality: int | None) -> float:
    """Return the bytes stored of a picture's raw RGB at a lossy codec's quality; None: lossless."""
    if quality is None:
        return LOSSLESS_SHARE
    return float(np.interp(quality, _QUALITIES, _SHARES))
