"""What stages will take: seconds from the models' costs, bytes from settings; rough on purpose."""

from typing import TYPE_CHECKING

from panic_hpc.homology.cost import cost
from panic_hpc.homology.null_models import NULL_MODELS
from panic_hpc.stages.base import Estimate
from panic_hpc.types import IMAGE, TEXT, ModelSpec

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.planning.networks import Network

# About 100 tokens of a captioner that was asked to describe.
TEXT_BYTES = 400
ROW_BYTES = 64
IMAGE_SIDE = 512
# Of raw RGB: lossless WebP reached 0.63 to 0.68 at 1024 by 1024.
LOSSLESS_SHARE = 0.65
# That of upstream's models; who sets a dimension is believed.
DIMENSION = 768


def estimate_runs(manifest: "Manifest") -> Estimate:
    """Return what the runs stage takes if no loop ends a run early."""
    seconds = nbytes = 0.0
    keep_every = manifest.experiment.images.keep_every
    for network in manifest.networks:
        for model, count in _calls(network):
            seconds += count * manifest.seconds[model.name]
            nbytes += count * (ROW_BYTES + _output_bytes(model, keep_every))
    return Estimate(gpu_seconds=seconds, cpu_seconds=0.0, nbytes=nbytes)


def estimate_embeddings(manifest: "Manifest") -> Estimate:
    """Return what the embeddings stage takes if no loop ends a run early."""
    seconds = nbytes = 0.0
    for model in manifest.embedding_models:
        count = sum(n * network.n_runs for network, n in _rows(manifest, model))
        seconds += count * manifest.seconds[model.name]
        nbytes += count * 4 * _dimension(model)
    return Estimate(gpu_seconds=seconds, cpu_seconds=0.0, nbytes=nbytes)


def estimate_diagrams(manifest: "Manifest") -> Estimate:
    """Return what the diagrams stage takes if every trajectory has distinct points only."""
    seconds = nbytes = 0.0
    clouds = 1 + len(NULL_MODELS) * manifest.experiment.homology.surrogates
    for model in manifest.embedding_models:
        for network, n in _rows(manifest, model):
            one = cost(n, _dimension(model), manifest.experiment.homology.maxdim)
            seconds += network.n_runs * clouds * one.seconds
            # 8 bytes a bar, and about three bars a point over all dimensions.
            nbytes += network.n_runs * 8 * 3 * n
    return Estimate(gpu_seconds=0.0, cpu_seconds=seconds, nbytes=nbytes)


def _calls(network: "Network") -> list[tuple[ModelSpec, int]]:
    """Return how many items each place of a network sees over all of its runs."""
    places = len(network.models)
    return [
        (model, network.n_runs * len(range(place, network.max_length, places)))
        for place, model in enumerate(network.models)
    ]


def _rows(manifest: "Manifest", model: ModelSpec) -> "list[tuple[Network, int]]":
    """Return the number of embeddings of one run of each network, the prompt's included."""
    rows = []
    for network in manifest.networks:
        places = [place for place, m in enumerate(network.models) if m.produces == model.consumes]
        n = sum(len(range(p, network.max_length, len(network.models))) for p in places)
        rows.append((network, n + (model.consumes == TEXT)))
    return rows


def _output_bytes(model: ModelSpec, keep_every: int) -> float:
    if model.produces != IMAGE:
        return TEXT_BYTES
    sides = [model.settings.get(name) or model.settings.get("size") for name in ("height", "width")]
    height, width = (side if isinstance(side, int) else IMAGE_SIDE for side in sides)
    return LOSSLESS_SHARE * 3 * height * width / keep_every if keep_every else 0.0


def _dimension(model: ModelSpec) -> int:
    dimension = model.settings.get("dimension")
    return dimension if isinstance(dimension, int) else DIMENSION
