"""What the runs stage will take: seconds by the models' costs, bytes by their settings."""

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
    """Return what the runs stage takes if no loop ends a run early; rough on purpose."""
    seconds = nbytes = 0.0
    keep_every = manifest.experiment.images.keep_every
    for network in manifest.networks:
        for model, count in _calls(network):
            seconds += count * manifest.seconds[model.name]
            nbytes += count * (ROW_BYTES + _output_bytes(model, keep_every))
    return Estimate(gpu_seconds=seconds, cpu_seconds=0.0, nbytes=nbytes)


def _calls(network: "Network") -> list[tuple[ModelSpec, int]]:
    """Return how many items each place of a network sees over all of its runs."""
    places = len(network.models)
    return [
        (model, network.n_runs * len(range(place, network.max_length, places)))
        for place, model in enumerate(network.models)
    ]


def _output_bytes(model: ModelSpec, keep_every: int) -> float:
    if model.produces != IMAGE:
        return TEXT_BYTES
    sides = [model.settings.get(name) or model.settings.get("size") for name in ("height", "width")]
    height, width = (side if isinstance(side, int) else IMAGE_SIDE for side in sides)
    return LOSSLESS_SHARE * 3 * height * width / keep_every if keep_every else 0.0
