"""Motifs: planted clusters are found, and none in one Gaussian, however wide or flat."""

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.metrics import adjusted_rand_score

from panic_hpc.analysis.estimators.similarity.motifs import Motifs, motifs
from panic_hpc.errors import AnalysisError


def found_in(points: np.ndarray, seed: int = 0) -> Motifs:
    return motifs(points, most=7, references=19, subsamples=4, seed=seed)


def test_planted_motifs_are_found_with_their_number_and_are_stable() -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(100) % 5
    points = 3 * rng.normal(size=(5, 40))[truth] + rng.normal(size=(100, 40))
    found = found_in(points)
    assert found.k == 5
    assert adjusted_rand_score(found.labels, truth) > 0.9
    assert found.p == 1 / 20
    assert found.stability > 0.9 > found.stability_null
    assert sorted(truth[found.medoids]) == [0, 1, 2, 3, 4]


def test_one_gaussian_has_one_motif_though_k_means_would_give_any_number() -> None:
    rng = np.random.default_rng(2)
    draws = [rng.normal(size=(60, 30)) * np.linspace(3, 0.1, 30) for _ in range(8)]
    found = [found_in(points, seed) for seed, points in enumerate(draws)]
    assert sum(one.k > 1 for one in found) <= 2
    assert max(one.stability for one in found) < 0.9


def test_the_same_seed_gives_the_same_motifs() -> None:
    points = np.random.default_rng(3).normal(size=(40, 5))
    once, again = found_in(points, 4), found_in(points, 4)
    assert np.array_equal(once.labels, again.labels)
    assert (once.p, once.stability) == (again.p, again.stability)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (np.ones((20, 3)), "20 points, 1 of them different"),
        (np.arange(9.0)[:, None], "9 points: too few to cluster"),
        (np.ones((1, 3)), "^1 point: too few to cluster"),
    ],
)
def test_too_few_points_are_refused_with_the_reason(points: np.ndarray, told: str) -> None:
    with pytest.raises(AnalysisError, match=told):
        motifs(points)


@pytest.mark.long
def test_p_values_are_uniform_for_few_points_in_many_dimensions() -> None:
    rng = np.random.default_rng(5)
    p = []
    for seed in range(40):
        points = rng.normal(size=(14, 40)) * np.linspace(1, 3, 40)
        found = motifs(points, references=19, most=3, subsamples=2, seed=seed)
        p.append(found.p - rng.uniform(0, 0.05))
    assert kstest(p, "uniform").pvalue > 0.01
