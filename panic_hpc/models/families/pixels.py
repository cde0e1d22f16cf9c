"""Metrics of pixels: likeness of two pictures, and how bright and colourful one is.

SSIM is that of Wang, Bovik, Sheikh and Simoncelli (IEEE Transactions on Image Processing 13, 2004):
a Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, where the window fits wholly; the
mean over pixels and colours. Luminance and saturation run from 0 to 1. All are formulas but LPIPS,
which has weights, hence a family of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator, model_validator

from panic_hpc.models.base import Judged, Score
from panic_hpc.models.metric_settings import NOTHING, PREVIOUS, MetricSettings
from panic_hpc.models.perceptual.lpips import (
    ALEXNET,
    SMALLEST,
    WHERE_THEY_ARE,
    distance,
    features_of,
    read_weights,
)
from panic_hpc.models.settings import settings_of, wrong
from panic_hpc.models.torch_setup import torch_for
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, SCORE, Modality, ModelEntry, ModelSpec

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]
Kind = Literal["ssim", "psnr", "iou", "luminance", "saturation"]

WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# Rec. 709 weights of red, green and blue.
LUMA = np.array([0.2126, 0.7152, 0.0722])

NO_LPIPS = f'LPIPS has weights: family = "lpips". {WHERE_THEY_ARE}'

_COMPONENTS: dict[str, tuple[str, ...]] = {
    "ssim": ("ssim",),
    "psnr": ("psnr",),
    "iou": ("iou",),
    "luminance": ("mean", "variance"),
    "saturation": ("mean", "variance"),
}
_OF_PAIRS = ("ssim", "psnr", "iou")


class PixelSettings(MetricSettings):
    """What is computed of pictures.

    `threshold` is from which luminance on a pixel belongs to a mask (iou). Luminance and saturation
    of a picture alone are mean and variance over its pixels; against another picture they have a
    `difference` too, the picture's mean less the other's.
    """

    score: Kind
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5

    @field_validator("score", mode="before")
    @classmethod
    def _is_no_network(cls, value: Any) -> Any:
        if value == "lpips":
            raise wrong(NO_LPIPS)
        return value

    @model_validator(mode="after")
    def _has_two_pictures(self) -> Self:
        if self.score in _OF_PAIRS and self.against == NOTHING:
            text = f'{self.score} compares two pictures: against = "previous", "first", "role:…"'
            raise wrong(text)
        return self


class PixelMetric:
    """One formula, item by item."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, PixelSettings)
        self.components = components_of(self.settings)

    def load(self, device: str) -> None:
        """Nothing to load."""

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return the numbers of each picture."""
        return [self._score(item) for item in items]

    def _score(self, item: Judged) -> Score:
        kind = self.settings.score
        if kind not in _OF_PAIRS:
            return Score(_of_planes(_PLANES[kind], item))
        if item.output.shape != item.against.shape:
            return _failed(f"pictures of {_size(item.output)} and {_size(item.against)}")
        if kind == "iou":
            return iou(item.output, item.against, self.settings.threshold)
        if kind == "psnr":
            return Score((psnr(item.output, item.against),))
        if min(item.output.shape[:2]) < WINDOW:
            return _failed(f"a picture of {_size(item.output)} is smaller than SSIM's window")
        return Score((ssim(item.output, item.against),))


def components_of(settings: PixelSettings) -> tuple[str, ...]:
    """Return what the numbers of a metric are called."""
    is_pair = settings.against != NOTHING and settings.score not in _OF_PAIRS
    return (*_COMPONENTS[settings.score], *(("difference",) if is_pair else ()))


def _failed(problem: str) -> Score:
    return Score((float("nan"),), problem=problem)


def _size(picture: Pixels) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"


def luminance(picture: Pixels) -> Plane:
    """Return each pixel's luminance, 0 to 1: Rec. 709 weights of the values as they are stored."""
    return np.asarray(picture @ LUMA / 255)


def saturation(picture: Pixels) -> Plane:
    """Return each pixel's saturation as HSV has it: (largest - smallest) / largest, 0 for black."""
    largest: Plane = picture.max(axis=2).astype(float)
    smallest = picture.min(axis=2)
    shares: Plane = np.zeros(largest.shape)
    np.divide(largest - smallest, largest, out=shares, where=largest > 0)
    return shares


_PLANES: dict[str, Callable[[Pixels], Plane]] = {
    "luminance": luminance,
    "saturation": saturation,
}


def _of_planes(plane_of: Callable[[Pixels], Plane], item: Judged) -> tuple[float, ...]:
    plane = plane_of(item.output)
    own = (float(plane.mean()), float(plane.var()))
    if item.against is None:
        return own
    return (*own, own[0] - float(plane_of(item.against).mean()))


def iou(picture: Pixels, other: Pixels, threshold: float) -> Score:
    """Return the intersection of two masks over their union; pixels as bright as `threshold`."""
    one, two = luminance(picture) >= threshold, luminance(other) >= threshold
    if not two.any():
        return _failed("the mask that it is judged against is empty")
    return Score((float((one & two).sum() / (one | two).sum()),))


def psnr(picture: Pixels, other: Pixels) -> float:
    """Return the peak signal-to-noise ratio in dB, inf for equal pictures."""
    error = float(np.mean((picture.astype(float) - other) ** 2))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(picture: Pixels, other: Pixels) -> float:
    """Return the structural similarity of two pictures of one size, 1 for equal ones."""
    x, y = picture.astype(float), other.astype(float)
    mean_x, mean_y = _smoothed(x), _smoothed(y)
    var_x = _smoothed(x * x) - mean_x**2
    var_y = _smoothed(y * y) - mean_y**2
    covariance = _smoothed(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))))


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian mean around each pixel that the window fits around: (h, w, 3)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        views = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=axis)
        values = np.einsum("...k,k->...", views, weights)
    return values


def _entry(name: str, score: Kind, against: str = NOTHING) -> ModelEntry:
    defaults: dict[str, Any] = {"score": score, "against": against}
    return ModelEntry(
        name,
        IMAGE,
        SCORE,
        defaults=defaults,
        seconds=0.001,
        timing="on one CPU core",
        note="a formula",
    )


class PixelFamily:
    """The family of formulas over pixels."""

    name = "pixels"
    settings = PixelSettings
    entries = (
        _entry("SSIM", "ssim", PREVIOUS),
        _entry("PSNR", "psnr", PREVIOUS),
        _entry("Luminance", "luminance"),
        _entry("Saturation", "saturation"),
    )

    def build(self, spec: ModelSpec) -> PixelMetric:
        """Return the metric that `spec` names."""
        return PixelMetric(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and score."""
        return IMAGE, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return image, or nothing."""
        return "" if settings.model_dump()["against"] == NOTHING else IMAGE


class LpipsSettings(MetricSettings):
    """What pictures are compared with."""

    against: str = Field(PREVIOUS, pattern=r"^(input|previous|first|role:[A-Za-z0-9_-]{1,64})\z")


class LpipsMetric:
    """The distance of two pictures of one size, 0 for equal ones; see `perceptual.lpips`."""

    components = ("distance",)

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def load(self, device: str) -> None:
        """Load the weights of a folder; ModelError, with what is missing, where they are not it."""
        self._torch = torch_for(device)
        folder = Path(find_weights(self.spec).source)
        found = read_weights(self.spec.name, folder)
        self._weights = {key: value.to(device) for key, value in found.items()}
        self._linear = [
            self._weights[f"lin{layer}.model.1.weight"].flatten() for layer in range(len(ALEXNET))
        ]

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return the distance of each picture from the one that it is judged against."""
        return [self._score(item) for item in items]

    def _score(self, item: Judged) -> Score:
        if item.output.shape != item.against.shape:
            return _failed(f"pictures of {_size(item.output)} and {_size(item.against)}")
        if min(item.output.shape[:2]) < SMALLEST:
            return _failed(f"a picture of {_size(item.output)}; LPIPS reads {SMALLEST} or more")
        with self._torch.inference_mode():
            own, other = (features_of(self._weights, picture) for picture in item)
            return Score((float(distance(own, other, self._linear)[0]),))


class LpipsFamily:
    """The family of LPIPS, by a folder of weights."""

    name = "lpips"
    settings = LpipsSettings
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> LpipsMetric:
        """Return the metric that `spec` names, not loaded yet."""
        return LpipsMetric(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and score."""
        return IMAGE, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return image."""
        return IMAGE


PLUGINS = (PixelFamily(), LpipsFamily())
