"""Intrinsic dimension and clusters of states, on planted clouds."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from panic_hpc.analysis.estimators.shape import clusters
from panic_hpc.analysis.estimators.shape.clusters import (
    cluster_states,
    sparsity,
    tile_states,
    transitions,
)
from panic_hpc.analysis.estimators.shape.dimension import two_nn
from panic_hpc.analysis.estimators.shape.prefixes import prefixes
from panic_hpc.analysis.estimators.shape.stays import in_any_order, stays
from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_cloud_of_few_dimensions_in_many_has_these(d: int) -> None:
    rng = np.random.default_rng(d)
    found = [
        two_nn(rng.random(size=(800, d)) @ np.linalg.qr(rng.normal(size=(50, d)))[0].T)
        for _ in range(5)
    ]
    assert np.mean(found) == pytest.approx(d, rel=0.1)


def test_a_run_that_lingers_looks_flat_unless_near_steps_are_no_neighbours() -> None:
    rng = np.random.default_rng(1)
    places = np.repeat(rng.random((400, 3)), 3, axis=0)
    lingering = places + 1e-4 * rng.random((1200, 1)) * np.array([1.0, 0, 0])
    assert two_nn(lingering) < 1.5
    assert two_nn(lingering, window=2) > 2


def test_equal_states_are_one_and_too_few_are_refused() -> None:
    points = np.random.default_rng(1).random((300, 2))
    assert two_nn(np.repeat(points, 3, axis=0)) == two_nn(points)
    with pytest.raises(AnalysisError, match="too few"):
        two_nn(np.ones((50, 3)))


def test_planted_clusters_are_found_also_by_states_that_were_not_sampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "MOST_POINTS", 400)
    rng = np.random.default_rng(2)
    truth = np.arange(1200) % 4
    points = 6 * rng.normal(size=(4, 32))[truth] + rng.normal(size=(1200, 32))
    points[5] = np.nan
    found = cluster_states(points)
    known = found.labels >= 0
    assert found.labels[5] == -1
    assert known.mean() > 0.9
    assert adjusted_rand_score(truth[known], found.labels[known]) > 0.95
    assert sorted(truth[found.medoids]) == [0, 1, 2, 3]
    with pytest.raises(AnalysisError, match="it takes 50"):
        cluster_states(points[:20])


def test_moves_are_counted_within_runs() -> None:
    found = transitions(np.array([0, 0, 1, -1, 1, 1]), np.array([0, 0, 0, 0, 1, 1]), 2)
    assert found.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_a_tiling_puts_states_of_one_place_into_one_region() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(600) % 3
    points = 9 * rng.normal(size=(3, 32))[truth] + rng.normal(size=(600, 32))
    points[7] = np.nan
    rows = np.arange(3, 600)
    found = tile_states(points, 3, rows=rows)
    assert found[4] == -1
    known = found >= 0
    assert adjusted_rand_score(truth[rows][known], found[known]) == 1


def test_stays_end_where_the_label_or_the_run_does() -> None:
    found = stays(np.array([0, 0, 1, 1, 1]), np.array([7, 7, 7, 9, 9]))
    assert found.runs.tolist() == [7, 7, 9]
    assert found.labels.tolist() == [0, 1, 1]
    assert found.lengths.tolist() == [2, 1, 2]
    assert found.was_left.tolist() == [True, False, False]


def test_what_lies_between_clusters_is_named_by_what_lies_around() -> None:
    labels = np.array([-1, 0, -1, 0, -1, 1, -1, -1, -1, 0])
    runs = np.array([0] * 7 + [1] * 2 + [2])
    found = stays(labels, runs)
    assert found.kinds().tolist() == [
        "start", "", "excursion", "", "transit", "", "end", "whole", "",
    ]  # fmt: skip


def test_states_in_any_order_stay_with_their_run() -> None:
    runs = np.array([5, 5, 5, 2, 2, 9])
    labels = np.array([0, 1, 2, 3, 4, 5])
    drawn = [in_any_order(labels, runs, np.random.default_rng(seed)) for seed in range(40)]
    for one in drawn:
        for run in (5, 2, 9):
            assert sorted(one[runs == run]) == labels[runs == run].tolist()
    assert len({tuple(one) for one in drawn}) == 12


def test_a_point_far_from_those_of_other_runs_is_alone_however_near_its_own_are() -> None:
    rng = np.random.default_rng(4)
    runs = np.repeat(np.arange(6), 20)
    points = rng.normal(size=(120, 3)).astype(np.float32)
    points[runs == 5] = 50 + rng.normal(size=(20, 3)) / 100
    found = sparsity(points, runs, 3)
    assert found[runs == 5].min() > 10 * found[runs != 5].max()
    assert np.isnan(sparsity(points[:20], runs[:20], 3)).all()


def test_components_that_hold_all_there_is_keep_distances_when_they_come_first() -> None:
    rng = np.random.default_rng(5)
    held = np.concatenate([rng.normal(size=(300, 16)), 0.01 * rng.normal(size=(300, 112))], axis=1)
    found = {one.components: one for one in prefixes(unit_rows(held), rng)}
    assert sorted(found) == [8, 16, 32, 64]
    assert found[16].spearman > 0.99
    assert found[16].overlap > 0.95
    assert found[16].by_chance < 0.7
    assert found[8].spearman < 0.9
    with pytest.raises(AnalysisError, match="it takes 20"):
        list(prefixes(unit_rows(held[:19]), rng))
