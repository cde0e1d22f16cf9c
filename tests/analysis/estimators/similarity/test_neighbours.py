"""Nearest neighbours: exact, across runs, with the hubs of many dimensions found and corrected."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.similarity import neighbours
from panic_hpc.analysis.estimators.similarity.neighbours import (
    hubness,
    local_similarities,
    nearest_neighbours,
)
from panic_hpc.errors import AnalysisError


def unit(points: np.ndarray) -> np.ndarray:
    scaled = points / np.linalg.norm(points, axis=-1, keepdims=True)
    return scaled.astype(np.float32)


def test_neighbours_are_those_of_all_pairs_however_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    points, runs = unit(rng.normal(size=(120, 8))), np.arange(120) // 10
    points[7] = np.nan
    whole = nearest_neighbours(points, 5, runs=runs)
    monkeypatch.setattr(neighbours, "QUERIES_AT_ONCE", 13)
    monkeypatch.setattr(neighbours, "POINTS_AT_ONCE", 29)
    in_parts = nearest_neighbours(points, 5, runs=runs)
    similar = points @ points.T
    similar[np.isnan(similar)] = -np.inf
    similar[runs[:, None] == runs[None]] = -np.inf
    expected = np.argsort(-similar, axis=1, kind="stable")[:, :5]
    known = np.arange(120) != 7
    for found in (whole, in_parts):
        assert np.array_equal(found.rows[known], expected[known])
        assert (found.rows[7] == -1).all()
        assert not (runs[found.rows[known]] == runs[known, None]).any()


def test_hubs_of_many_dimensions_are_found_and_local_scaling_makes_them_few() -> None:
    rng = np.random.default_rng(2)
    runs = np.arange(1000)
    skewness = {}
    for d in (3, 768):
        points = rng.normal(size=(1000, d)).astype(np.float32)
        # Lengths matter to hubs of the plain Gaussian; here they are all on a sphere, off centre.
        points = unit(points + (0.5 if d == 768 else 0.0))
        skewness[d] = hubness(nearest_neighbours(points, 10, runs=runs), 1000)
    local = local_similarities(nearest_neighbours(points, 10, runs=runs))
    corrected = hubness(nearest_neighbours(points, 10, runs=runs, local=local), 1000)
    assert abs(skewness[3].skewness) < 1
    assert skewness[3].antihubs < 0.01
    assert skewness[768].skewness > 2
    assert skewness[768].antihubs > 0.05
    assert corrected.skewness < skewness[768].skewness / 2
    assert corrected.antihubs < skewness[768].antihubs / 2


def test_a_state_that_was_planted_in_two_runs_is_found() -> None:
    rng = np.random.default_rng(3)
    points, runs = unit(rng.normal(size=(400, 64))), np.arange(400) // 20
    points[333] = unit(points[41] + 0.01 * rng.normal(size=64))
    found = nearest_neighbours(points, 1, runs=runs, queries=np.array([333, 41]))
    assert found.rows.ravel().tolist() == [41, 333]


def test_one_run_has_no_neighbours_and_that_is_said() -> None:
    points = unit(np.random.default_rng(4).normal(size=(5, 3)))
    found = nearest_neighbours(points, 2, runs=np.zeros(5, dtype=np.int64))
    assert (found.rows == -1).all()
    with pytest.raises(AnalysisError, match="no point has a neighbour"):
        hubness(found, 5)
