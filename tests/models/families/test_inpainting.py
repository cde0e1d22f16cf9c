"""Inpainting on a tiny checkpoint of a real class: what the mask shows is made anew, by item."""

from typing import Any

import numpy as np
import pytest
from class_contract import MARKS, spec_of
from tiny_checkpoints.classes import SIDE, all_classes

from panic_hpc.models.base import Output, Turn
from panic_hpc.models.loading import load

pytestmark = MARKS

HALF = SIDE // 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tiny = all_classes()["sd15_inpaint"]
    folder = tiny.save(tmp_path_factory.mktemp("inpainting") / "sd15")
    return load(spec_of(tiny, folder), "cpu")


def asked(model: Any, masks: list[np.ndarray], seeds: list[int]) -> list[Output]:
    picture = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    turns = [Turn(0, "a red fox", {"image": picture, "Mask": mask}) for mask in masks]
    outputs: list[Output] = model.generate(["a red fox"] * len(masks), seeds, turns)
    return outputs


def mask(left: int, right: int) -> np.ndarray:
    found = np.full((SIDE, SIDE, 3), right, np.uint8)
    found[:, :HALF] = left
    return found


def test_the_class_is_the_inpainting_one(model: Any) -> None:
    assert type(model._pipeline).__name__ == "StableDiffusionInpaintPipeline"


def test_what_the_mask_shows_is_made_anew_and_the_rest_stays(model: Any) -> None:
    for left, right in ((255, 0), (0, 255)):
        one, other = (asked(model, [mask(left, right)] * 2, [seed] * 2)[0] for seed in (1, 2))
        change = np.abs(one.value.astype(float) - other.value.astype(float)).mean(axis=(0, 2))
        anew, kept = (change[:HALF], change[HALF:]) if left else (change[HALF:], change[:HALF])
        # Not nothing in the rest: the decoder looks at the whole picture.
        assert anew.mean() > 2 * kept.mean()


def test_a_neighbour_s_mask_does_not_matter(model: Any) -> None:
    alone, _ = asked(model, [mask(255, 0)] * 2, [1, 1])
    beside, _ = asked(model, [mask(255, 0), mask(0, 255)], [1, 2])
    assert np.array_equal(alone.value, beside.value)
    nothing, everything = asked(model, [mask(0, 0), mask(255, 255)], [1, 1])
    assert not np.array_equal(nothing.value, everything.value)


def test_masks_of_other_sizes_are_resized(model: Any) -> None:
    large = np.kron(mask(255, 0), np.ones((2, 2, 1), np.uint8))
    one, other = (asked(model, [own] * 2, [1, 1])[0].value for own in (large, mask(255, 0)))
    assert np.array_equal(one, other)
