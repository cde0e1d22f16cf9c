"""Monotone maps between Euclidean lengths on the unit sphere and the metrics derived from them.

For unit vectors at angle t the distance is d = 2 sin(t / 2), and 1 - cos t = d^2 / 2. A monotone
map of the distances changes no pairing of simplices, so one Euclidean diagram serves all three.
"""

import math

import numpy as np
import numpy.typing as npt

from panic_hpc.errors import HomologyError

UNIT_SPHERE = ("cosine", "angular")

LARGEST = {"cosine": 2.0, "angular": math.pi}
"""Of opposite directions."""

_INFINITY = 0x7F800000
"""The bits of infinity in float32."""


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
    """The largest float32 length whose image under `metric` is not above `thresh`.

    inf where `thresh` is the largest value that the metric has, or above it.
    """
    if math.isnan(thresh) or thresh < 0:
        raise HomologyError(f"thresh is {thresh}", hint="Use a length from 0 to inf.")
    # Rounding makes some lengths of unit vectors a little more than 2, and pi in float32 is more
    # than pi: whoever asks for all edges gets all.
    with np.errstate(over="ignore"):
        if np.float32(thresh) >= np.float32(LARGEST.get(metric, math.inf)):
            return math.inf
    # The bit patterns of floats that are not negative are ordered as the floats are. Bisection,
    # because of the images many are equal: whole stretches of lengths map to 0 or to pi.
    low, high = 0, _INFINITY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _image(middle, metric) <= thresh else (low, middle)
    return float(_float_of(low))


def _image(bits: int, metric: str) -> float:
    return float(from_euclidean(np.array([_float_of(bits)]), metric)[0])


def _float_of(bits: int) -> np.float32:
    return np.uint32(bits).view(np.float32)
