"""Distances between runs: warping against its definition, sets against planted differences."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.similarity.warping import energy_distance, in_step, warped
from panic_hpc.errors import AnalysisError


def unit(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def by_definition(a: np.ndarray, b: np.ndarray, band: int) -> float:
    n = len(a)
    reached = np.full((n + 1, n + 1), np.inf)
    reached[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(max(1, i - band), min(n, i + band) + 1):
            before = min(reached[i - 1, j], reached[i, j - 1], reached[i - 1, j - 1])
            reached[i, j] = 1 - a[i - 1] @ b[j - 1] + before
    return float(reached[n, n] / n)


@pytest.mark.parametrize("band", [0, 1, 3, 11, 40])
def test_warping_is_as_it_is_defined(band: int) -> None:
    a, b = unit(np.random.default_rng(band).normal(size=(2, 5, 12, 4)))
    found = warped(a, b, band)
    assert found == pytest.approx([by_definition(x, y, band) for x, y in zip(a, b, strict=True)])
    assert (found <= in_step(a, b) + 1e-12).all()
    if band == 0:
        assert found == pytest.approx(in_step(a, b))


def test_a_run_that_lags_behind_itself_is_near_once_it_is_warped() -> None:
    turn = np.linspace(0, 3, 63)
    path = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    early, late = path[None, :60], path[None, 3:]
    assert warped(early, late, 5)[0] < 0.1 * in_step(early, late)[0]


def test_sets_of_one_distribution_have_no_energy_distance_on_average() -> None:
    rng = np.random.default_rng(5)
    same = [energy_distance(*rng.normal(size=(2, 30, 6))) for _ in range(200)]
    shifted = energy_distance(rng.normal(size=(300, 6)), rng.normal(size=(300, 6)) + 1)
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    assert shifted > 20 * np.std(same)


def test_the_order_of_states_does_not_matter_to_a_set() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, 20, 3))
    assert energy_distance(a, b) == pytest.approx(energy_distance(rng.permutation(a), b))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(AnalysisError, match="cannot be aligned"):
        warped(np.ones((1, 3, 2)), np.ones((1, 4, 2)), 1)
    with pytest.raises(AnalysisError, match="fewer than two states"):
        energy_distance(np.ones((1, 2)), np.ones((3, 2)))
