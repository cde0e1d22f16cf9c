"""Metrics of pixels on pictures whose answers are known."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from panic_hpc.models.base import Judged, Score
from panic_hpc.models.families.pixels import (
    PixelFamily,
    PixelSettings,
    iou,
    luminance,
    psnr,
    saturation,
    ssim,
)
from panic_hpc.types import IMAGE, SCORE, ModelSpec


def plain(colour: tuple[int, int, int], height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def rectangle(left: int, right: int) -> np.ndarray:
    picture = plain((0, 0, 0))
    picture[5:15, left:right] = 255
    return picture


def noisy(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 40, 3)).astype(np.uint8)


def of(items: list[Judged], **settings: Any) -> list[Score]:
    spec = ModelSpec("m", "pixels", IMAGE, SCORE, "", "", "", len(items), settings)
    return PixelFamily().build(spec).score(items)


def test_the_overlap_of_two_rectangles_is_exact() -> None:
    assert iou(rectangle(0, 10), rectangle(5, 15), 0.5).values == (5 / 15,)
    assert iou(rectangle(0, 10), rectangle(0, 10), 0.5).values == (1.0,)
    assert iou(rectangle(0, 10), rectangle(20, 30), 0.5).values == (0.0,)


def test_an_empty_mask_has_no_overlap_and_says_so() -> None:
    items = [Judged(rectangle(0, 9), plain((0, 0, 0))), Judged(rectangle(0, 9), rectangle(0, 9))]
    empty, full = of(items, score="iou", against="first")
    assert np.isnan(empty.values[0])
    assert empty.problem == "the mask that it is judged against is empty"
    assert full == Score((1.0,))


@pytest.mark.parametrize(
    ("colour", "light", "chroma"),
    [
        ((0, 0, 0), 0.0, 0.0),
        ((255, 255, 255), 1.0, 0.0),
        ((100, 100, 100), 100 / 255, 0.0),
        ((255, 0, 0), 0.2126, 1.0),
        ((0, 100, 50), (0.7152 * 100 + 0.0722 * 50) / 255, 1.0),
        ((200, 100, 100), (0.2126 * 200 + 0.7874 * 100) / 255, 0.5),
    ],
)
def test_light_and_colour_of_one_colour(
    colour: tuple[int, int, int], light: float, chroma: float
) -> None:
    assert luminance(plain(colour)) == pytest.approx(np.full((20, 30), light))
    assert saturation(plain(colour)) == pytest.approx(np.full((20, 30), chroma))


def test_light_is_compared_by_its_mean() -> None:
    items = [Judged(rectangle(0, 15), plain((255, 255, 255)))]
    (score,) = of(items, score="luminance", against="first")
    assert score.values == pytest.approx((0.25, 0.25 * 0.75, 0.25 - 1))


def test_equal_pictures_are_alike_and_others_less() -> None:
    assert ssim(noisy(1), noisy(1)) == pytest.approx(1)
    assert psnr(noisy(1), noisy(1)) == float("inf")
    assert abs(ssim(noisy(1), noisy(2))) < 0.1
    assert psnr(plain((100, 100, 100)), plain((110, 110, 110))) == pytest.approx(
        20 * np.log10(255 / 10)
    )


def test_likeness_is_that_of_other_programs() -> None:
    """As torchmetrics 1.9 gives it for the pixels that the window fits around (data_range 255)."""
    ramp = np.linspace(0, 255, 24 * 40 * 3).reshape(24, 40, 3).astype(np.uint8)
    blurred = ((ramp.astype(float) + noisy(3)) / 2).astype(np.uint8)
    assert ssim(ramp, blurred) == pytest.approx(EXPECTED_SSIM, abs=1e-6)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (plain((0, 0, 0), 10, 10), "pictures of 30 x 20 and 10 x 10"),
        (plain((0, 0, 0)), ""),
    ],
)
def test_pictures_of_two_sizes_are_not_compared(other: np.ndarray, problem: str) -> None:
    (score,) = of([Judged(plain((1, 2, 3)), other)], score="ssim", against="first")
    assert score.problem == problem


def test_a_picture_smaller_than_the_window_is_told() -> None:
    small = plain((1, 1, 1), 8, 8)
    (score,) = of([Judged(small, small)], score="ssim", against="first")
    assert score.problem == "a picture of 8 x 8 is smaller than SSIM's window"


EXPECTED_SSIM = 0.1899812387686082


def test_lpips_is_not_a_formula_and_where_its_weights_are_is_said() -> None:
    with pytest.raises(ValidationError, match=r'family = "lpips"\. Put torchvision\'s AlexNet'):
        PixelSettings.model_validate({"score": "lpips", "against": "previous"})
