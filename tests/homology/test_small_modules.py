"""Entropy, cost and distances of diagrams."""

import math
import subprocess
import sys

import needs
import numpy as np
import pytest

from panic_hpc.errors import HomologyError
from panic_hpc.homology.api import diagrams
from panic_hpc.homology.cost import FEW_LOOPS, cost, default_budget, worst_loops
from panic_hpc.homology.distance_matrix import loops_per_point
from panic_hpc.homology.distances import bottleneck, pairwise, wasserstein
from panic_hpc.homology.entropy import persistence_entropies, persistence_entropy

ESSENTIAL = [0.0, math.inf]


def test_entropy_of_equal_bars_is_the_logarithm_of_their_number() -> None:
    bars = np.array([[k, k + 2] for k in range(8)] + [ESSENTIAL], np.float32)
    assert persistence_entropy(bars) == pytest.approx(math.log(8))


def test_entropy_weighs_bars_by_length() -> None:
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert persistence_entropy(np.array([[0, 1], [5, 8]])) == pytest.approx(expected)


def test_entropy_of_one_bar_is_zero_and_of_none_unknown() -> None:
    one, none = persistence_entropies([np.array([[1, 2]]), np.array([ESSENTIAL])])
    assert one == 0
    assert math.isnan(none)
    assert math.isnan(persistence_entropy(np.empty((0, 2))))


def test_entropy_is_persims() -> None:
    persim = needs.library("persim.persistent_entropy", "dev")
    bars = np.sort(np.random.default_rng(0).random((50, 2)), axis=1)
    assert persistence_entropy(bars) == pytest.approx(persim.persistent_entropy(bars)[0])


def test_cost_grows_with_everything() -> None:
    small = cost(500, 768, 1)
    for larger in (cost(1000, 768, 1), cost(500, 7680, 1), cost(500, 768, 2)):
        assert larger.seconds > small.seconds
        assert larger.bytes >= small.bytes
    assert default_budget(2000) == 2 * default_budget(1000)


@pytest.mark.native
@pytest.mark.parametrize("kind", ["directions", "normal", "memory", "walk"])
def test_loops_are_sampled_about_as_the_engine_counts_them(kind: str) -> None:
    """All but the walk have distances as alike as noise has them; only directions are costly."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((300, 768))
    if kind == "directions":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    if kind == "memory":
        for step in range(1, 300):
            points[step] += 0.5 * points[step - 1]
    if kind == "walk":
        points = np.cumsum(points, axis=0)
    cloud = points.astype(np.float32)
    counted = diagrams(cloud, maxdim=1).record.noise_ratio
    assert loops_per_point(cloud) == pytest.approx(counted, rel=0.4, abs=0.3)
    assert (loops_per_point(cloud) > FEW_LOOPS) == (kind == "directions")


def test_cost_tells_noise_from_trajectories_by_loops() -> None:
    assert loops_per_point(np.ones((5, 3), np.float32)) == 0
    assert loops_per_point(np.empty((0, 3), np.float32)) == 0
    assert loops_per_point(np.arange(3, dtype=np.float32)[:, None]) == 0
    as_noise, as_walk = cost(1000, 768, 1, worst_loops(1000)), cost(1000, 768, 1)
    assert as_noise.seconds > 3 * as_walk.seconds
    assert as_noise.bytes > as_walk.bytes
    assert cost(1000, 768, 1, FEW_LOOPS).seconds < 1.2 * as_walk.seconds
    assert cost(10_000, 768, 2, worst_loops(10_000)).seconds < 2 * default_budget(10_000) * 1e-6


def test_cost_imports_the_standard_library_only() -> None:
    check = "import sys, panic_hpc.homology.cost; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_bottleneck_is_the_largest_move_and_wasserstein_their_sum() -> None:
    a = np.array([[0, 10], [20, 30], ESSENTIAL])
    b = np.array([[0, 11], [20, 33], ESSENTIAL])
    assert bottleneck(a, b) == pytest.approx(3)
    assert wasserstein(a, b) == pytest.approx(4, rel=0.02)


def test_diagrams_of_different_essential_classes_are_infinitely_far_apart() -> None:
    assert bottleneck(np.array([ESSENTIAL]), np.array([ESSENTIAL, ESSENTIAL])) == math.inf


def test_empty_diagrams_have_a_distance() -> None:
    empty = np.empty((0, 2), np.float32)
    assert bottleneck(empty, np.array([[1.0, 3.0]])) == pytest.approx(1)
    assert wasserstein(empty, empty) == 0


@pytest.mark.parametrize("kind", ["bottleneck", "wasserstein"])
def test_pairwise_distances_do_not_depend_on_threads(kind: str) -> None:
    rng = np.random.default_rng(0)
    dgms = [np.sort(rng.random((n, 2)), axis=1).astype(np.float32) for n in (0, 5, 9, 9)]
    one, three = pairwise(dgms, kind), pairwise(dgms, kind, threads=3)
    assert np.array_equal(one, three)
    assert np.array_equal(one, one.T)
    assert (one[np.triu_indices(4, 1)] > 0).all()


def test_an_unknown_distance_is_refused() -> None:
    with pytest.raises(HomologyError, match="euclidean"):
        pairwise([], "euclidean")
