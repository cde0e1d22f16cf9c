"""Monotone maps between Euclidean lengths on the unit sphere and the metrics derived from them.

For unit vectors at angle t the distance is d = 2 sin(t / 2), and 1 - cos t = d^2 / 2. A monotone
map of the distances changes no pairing of simplices, so one Euclidean diagram serves all three.
"""

import math

import numpy as np
import numpy.typing as npt

from panic_hpc.errors import HomologyError

UNIT_SPHERE = ("cosine", "angular")


def from_euclidean(lengths: npt.NDArray[np.float32], metric: str) -> npt.NDArray[np.float32]:
    """Map Euclidean lengths (any shape, inf allowed) to `metric`; computed in float64."""
    if metric not in UNIT_SPHERE:
        return lengths
    d = lengths.astype(np.float64)
    if metric == "cosine":
        return (d * d / 2).astype(np.float32)
    # Unit vectors in float32 can be a little more than 2 apart. The minimum makes inf an angle
    # too, which the next line puts right.
    angle = 2 * np.arcsin(np.minimum(d / 2, 1))
    return np.where(np.isinf(d), np.inf, angle).astype(np.float32)


def to_euclidean(thresh: float, metric: str) -> float:
    """The largest float32 length whose image under `metric` is not above `thresh`."""
    if math.isnan(thresh) or thresh < 0:
        raise HomologyError(f"thresh is {thresh}", hint="Use a length from 0 to inf.")
    if metric == "cosine":
        guess = math.sqrt(2 * thresh)
    elif metric == "angular":
        guess = 2 * math.sin(thresh / 2) if thresh < math.pi else math.inf
    else:
        guess = thresh
    return _rounded_down(guess, thresh, metric)


def _rounded_down(guess: float, thresh: float, metric: str) -> float:
    with np.errstate(over="ignore"):
        # Rounded, so the guess may fall on either side of edges that are exactly `thresh` long.
        length = np.float32(guess)
    while (
        np.isfinite(length) and _image(np.nextafter(length, np.float32(np.inf)), metric) <= thresh
    ):
        length = np.nextafter(length, np.float32(np.inf))
    while _image(length, metric) > thresh:
        length = np.nextafter(length, np.float32(-np.inf))
    return float(length)


def _image(length: np.float32, metric: str) -> float:
    return float(from_euclidean(np.array([length], np.float32), metric)[0])
