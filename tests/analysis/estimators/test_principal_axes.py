"""Principal axes and coordinates: distances are kept, whichever side of the table is the longer."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.principal_axes import coordinates, principal_axes


def apart(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (6, 6)])
def test_coordinates_and_all_axes_keep_distances(shape: tuple[int, int]) -> None:
    points = np.random.default_rng(0).normal(size=shape) + 3.0
    found = coordinates(points)
    assert found.shape[1] <= min(shape)
    assert apart(found) == pytest.approx(apart(points), abs=1e-9)
    axes = principal_axes(points, 99)
    assert axes.axes @ axes.axes.T == pytest.approx(np.eye(len(axes.axes)), abs=1e-9)
    assert apart(axes.of(points)) == pytest.approx(apart(points), abs=1e-9)


def test_the_first_axes_are_those_of_the_largest_variance_and_rounding_is_none() -> None:
    rng = np.random.default_rng(1)
    points = np.outer(rng.normal(size=40), np.eye(60)[3]) + 5.0
    points[:, 7] += 0.1 * rng.normal(size=40)
    found = principal_axes(points, 5)
    assert found.axes.shape == (2, 60)
    assert np.abs(found.axes).argmax(axis=1).tolist() == [3, 7]
    assert principal_axes(np.ones((4, 9)), 3).axes.shape[0] == 1
    assert coordinates(np.ones((4, 9))).shape == (4, 0)
    single = points.astype(np.float32)
    single[0, 0] = np.nan
    placed = found.of(single)
    assert placed.dtype == np.float32
    assert np.isnan(placed[0]).all()
    assert np.isfinite(placed[1:]).all()
