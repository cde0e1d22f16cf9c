"""How often a picture gets the caption after a lossy codec that it gets without loss.

Runs of the built-in models are followed without loss, and crops of the photographs that
scikit-learn brings are scaled to the side of their pictures. Each picture is captioned as it is and
as a codec gives it back, by both built-in captioners with the same seed: what differs is the
codec's. `tools/bench_codecs.py --captions STEPS` prints the table.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panic_hpc import keys
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.loading import load
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.planning.plan import make_plan
from panic_hpc.stages.codecs.image import ImageCodec

Pixels = NDArray[np.uint8]
BATCH = 8
DRAWING, CAPTIONING = ("MicroTurbo", "MicroDiffusion"), ("MicroTerse", "MicroVerbose")
PROMPTS = ("a red circle", "two blue squares", "a small star", "three green crosses")
RUNS = 2 * len(PROMPTS)
QUALITIES = (50, 75, 90)
LEAST_CROP = 120


def table(steps: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of pictures, captioner and quality of AVIF."""
    fix_threads(1)
    networks = [list(pair) for pair in zip(DRAWING, CAPTIONING, strict=True)]
    settings = {"networks": networks, "prompts": list(PROMPTS), "seeds": [1, 2], "max_length": 2}
    plan = make_plan(Experiment.model_validate(settings), catalogue.load())
    models = {spec.name: load(spec, "cpu") for spec in plan.specs}
    kinds = {
        drawing: list(_drawn(models[drawing], models[follower], steps))
        for drawing, follower in zip(DRAWING, CAPTIONING, strict=True)
    }
    side = kinds[DRAWING[0]][0].shape[0]
    kinds["photographs"] = list(_crops(side, steps * RUNS))
    for kind, pictures in kinds.items():
        for captioning in CAPTIONING:
            yield from _rows(models[captioning], pictures, {"pictures": kind, "by": captioning})


def _drawn(drawing: Any, captioning: Any, steps: int) -> Iterator[Pixels]:
    """Yield all pictures of RUNS runs that take `steps` of each model, under per-step noise."""
    texts: list[Any] = [prompt for prompt in PROMPTS for _ in range(2)]
    for step in range(steps):
        seeds = [keys.step_seed(run, step) for run in range(RUNS)]
        drawn = _called(drawing, texts, seeds)
        yield from drawn
        texts = _called(captioning, drawn, seeds)


def _crops(side: int, count: int) -> Iterator[Pixels]:
    """Yield random squares of photographs, scaled to `side`."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    photographs = load_sample_images().images
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        edge = int(rng.integers(LEAST_CROP, min(photograph.shape[:2])))
        top, left = (int(rng.integers(0, size - edge)) for size in photograph.shape[:2])
        square = Image.fromarray(photograph[top : top + edge, left : left + edge])
        yield np.asarray(square.resize((side, side), Image.Resampling.BICUBIC))


def _rows(
    captioning: Any, pictures: Sequence[Pixels], named: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    codec, seeds = ImageCodec(), list(range(len(pictures)))
    without_loss = _called(captioning, pictures, seeds)
    lossless = np.mean([len(codec.encode(one, "webp-lossless")) for one in pictures])
    for quality in QUALITIES:
        stored = [codec.encode(one, f"avif-{quality}") for one in pictures]
        captions = _called(captioning, [codec.decode(one) for one in stored], seeds)
        equal = [one == other for one, other in zip(captions, without_loss, strict=True)]
        yield named | {
            "codec": f"avif-{quality}",
            "n": len(pictures),
            "of_lossless": float(np.mean([len(one) for one in stored]) / lossless),
            "equal": float(np.mean(equal)),
            "distinct": len(set(without_loss)),
        }


def _called(model: Any, values: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
    """Return a model's outputs, in batches of BATCH."""
    found: list[Any] = []
    for first in range(0, len(values), BATCH):
        batch = slice(first, first + BATCH)
        found += [output.value for output in model.generate(values[batch], seeds[batch])]
    return found
