"""Principal axes of points, by whichever of their two Gram matrices is the smaller."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Real = TypeVar("Real", bound=np.floating)


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """The first principal axes of some points.

    mean  (D,) of the points
    axes  (k, D) of length 1, that of the largest variance first; one at least
    """

    mean: Points
    axes: Points

    def of(self, points: NDArray[Real]) -> NDArray[Real]:
        """Return (n, k) coordinates of points (n, D) in their own type; nan stays nan."""
        # Not in float64 for all: what is asked of ten million states is bound by memory.
        mean, axes = (one.astype(points.dtype) for one in (self.mean, self.axes))
        with np.errstate(invalid="ignore"):
            return np.asarray((points - mean) @ axes.T)


def principal_axes(
    points: NDArray[np.floating], most: int, smallest: float = 1e-12
) -> PrincipalAxes:
    """Return the first axes of finite points (n, D), n at least 1.

    At most `most`, and those alone whose variance is above `smallest` times the largest: what is
    below is rounding, and would be all that is to whatever scales axes.
    """
    table = np.asarray(points, np.float64)
    mean = table.mean(axis=0)
    away = table - mean
    is_wide = away.shape[0] < away.shape[1]
    values, vectors = np.linalg.eigh(away @ away.T if is_wide else away.T @ away)
    values, vectors = values[::-1][:most], vectors[:, ::-1][:, :most]
    kept = values > smallest * max(float(values[0]), 0.0)
    kept[0] = True
    if is_wide:
        vectors = away.T @ vectors / np.sqrt(np.maximum(values, 1e-300))
    return PrincipalAxes(mean, np.asarray(vectors[:, kept].T))


def coordinates(points: NDArray[np.floating]) -> Points:
    """Return finite points (n, D) about their mean, with the same distances: (n, n or D or less).

    For what depends on distances alone, and costs by the number of dimensions.
    """
    exact = np.asarray(points, np.float64)
    centred = exact - exact.mean(axis=0)
    n, d = centred.shape
    if d <= n:
        return np.asarray(centred)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > max(float(values[-1]), 0.0) * 1e-12
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
