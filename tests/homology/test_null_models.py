import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panic_hpc.homology.null_models import gaussian, null_clouds, phase_randomised
from panic_hpc.keys import content_key

KEY = content_key("a run")


def trajectory(n_points: int, dimension: int = 6) -> np.ndarray:
    """Return a slow walk with unequal components and a mean of its own."""
    rng = np.random.default_rng(n_points)
    steps = rng.normal(size=(n_points, dimension)) * np.arange(1, dimension + 1)
    return (np.cumsum(steps, axis=0) + 50).astype(np.float32)


def autocorrelation(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(axis=0)
    power = np.abs(np.fft.rfft(centred, axis=0)) ** 2
    return np.fft.irfft(power, n=len(points), axis=0)


@pytest.mark.parametrize("n_points", [40, 41])
def test_phase_randomising_keeps_autocorrelation_and_covariance(n_points: int) -> None:
    points = trajectory(n_points)
    moved = phase_randomised(points, np.random.default_rng(1))
    assert not np.allclose(moved, points, atol=1)
    scale = np.abs(autocorrelation(points)).max()
    assert np.allclose(autocorrelation(moved), autocorrelation(points), atol=1e-4 * scale)
    assert np.allclose(np.cov(moved.T), np.cov(points.T), rtol=1e-3, atol=1e-2)
    assert np.allclose(moved.mean(axis=0), points.mean(axis=0), atol=1e-3)


def test_gaussian_clouds_have_the_mean_and_covariance_on_average() -> None:
    points = trajectory(200)
    rng = np.random.default_rng(2)
    clouds = [gaussian(points, rng) for _ in range(400)]
    covariance = np.mean([np.cov(cloud.T) for cloud in clouds], axis=0)
    expected = np.cov(points.T)
    assert np.abs(covariance - expected).max() < 0.1 * np.abs(expected).max()
    mean = np.mean([cloud.mean(axis=0) for cloud in clouds], axis=0)
    assert np.allclose(mean, points.mean(axis=0), atol=0.1 * points.std())


@given(st.integers(1, 12), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_any_trajectory_has_as_many_clouds_of_its_shape_as_asked(n: int, count: int) -> None:
    points = trajectory(n)
    clouds = list(null_clouds(points, KEY, count))
    assert len(clouds) == 2 * count
    for cloud in clouds:
        assert cloud.shape == points.shape
        assert cloud.dtype == np.float32
        assert np.isfinite(cloud).all()


def test_clouds_follow_from_the_key_and_more_change_none_before() -> None:
    points = trajectory(20)
    few, many = list(null_clouds(points, KEY, 2)), list(null_clouds(points, KEY, 3))
    assert np.array_equal(few[0], many[0])
    assert np.array_equal(few[3], many[4])
    other = next(null_clouds(points, content_key("another run"), 2))
    assert not np.array_equal(few[0], other)
