"""The lazy engine against giotto-ph, bit for bit, and gudhi as a second oracle."""

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import needs
import numpy as np
import point_clouds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from panic_hpc.homology import lazy
from panic_hpc.homology.api import diagrams
from panic_hpc.homology.cost import NOISE_RATIO
from panic_hpc.homology.distance_matrix import distance_matrix

pytestmark = pytest.mark.native

CLOUDS = settings(
    max_examples=int(os.environ.get("PANIC_HPC_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@contextmanager
def few_are_many() -> Iterator[None]:
    """Up to H2, too, long edges are left out where that can be shown to be right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy, "MANY_POINTS", 0)
        yield


@contextmanager
def few_are_none() -> Iterator[None]:
    """Loops are reduced, as those of many points are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy, "FEW_POINTS", 0)
        yield


@contextmanager
def swept() -> Iterator[None]:
    """Every cloud is treated as noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy, "NOISE_RATIO", 0.0)
        yield


def assert_same(array: Any, *, oracle: Any = "giotto-ph", **options: Any) -> None:
    if oracle == "giotto-ph":
        needs.library("gph", "engines")
    ours = diagrams(array, **options)
    theirs = diagrams(array, engine=oracle, **options)
    assert len(ours.dgms) == len(theirs.dgms) == ours.record.maxdim + 1
    for dimension, (a, b) in enumerate(zip(ours.dgms, theirs.dgms, strict=True)):
        assert np.array_equal(a, b), f"H{dimension}: {a.tolist()} is not {b.tolist()}"
    with few_are_none():
        reduced = diagrams(array, **options)
    assert all(map(np.array_equal, ours.dgms, reduced.dgms))
    assert ours.record.columns_reduced == reduced.record.columns_reduced


def clouds(elements: st.SearchStrategy[float], max_n: int = 24) -> st.SearchStrategy[Any]:
    shape = st.tuples(st.integers(0, max_n), st.integers(1, 4))
    return shape.flatmap(lambda s: npst.arrays(np.float32, s, elements=elements))


@CLOUDS
@given(clouds(st.floats(-100, 100, width=32)))
def test_any_points(points: Any) -> None:
    assert_same(points)


@CLOUDS
@given(clouds(st.sampled_from([0.0, 1.0, 2.0, 3.0])))
def test_points_of_a_lattice_full_of_ties_and_duplicates(points: Any) -> None:
    assert_same(points)


@CLOUDS
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 2**32), st.booleans())
def test_matrices_that_are_no_metric(n: int, values: int, seed: int, zeros: bool) -> None:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(0 if zeros else 1, values + 1, (n, n)), 1).astype(np.float32)
    assert_same(upper + upper.T, metric="precomputed")


@CLOUDS
@given(st.integers(1, 24), st.integers(0, 2**32), st.floats(0, 3, width=32))
def test_any_thresh(n: int, seed: int, thresh: float) -> None:
    points = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)
    assert_same(points, thresh=thresh)


@CLOUDS
@given(st.integers(4, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_gaussian_clouds_of_any_dimension(n: int, d: int, seed: int) -> None:
    assert_same(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32))


@settings(CLOUDS, max_examples=100)
@given(clouds(st.floats(-10, 10, width=16), max_n=14))
def test_gudhi_agrees(points: Any) -> None:
    assert_same(points, oracle="gudhi")


@settings(CLOUDS, max_examples=200)
@given(st.integers(0, 30), st.integers(1, 400), st.integers(0, 2**32), st.floats(0.3, 1.2))
def test_a_sweep_edge_by_edge_gives_the_same_bars(
    n: int, values: int, seed: int, share: float
) -> None:
    upper = np.triu(np.random.default_rng(seed).integers(1, values + 1, (n, n)), 1)
    matrix = (upper + upper.T).astype(np.float32)
    with swept():
        assert_same(matrix, metric="precomputed")
        assert_same(matrix, metric="precomputed", thresh=share * values)


@settings(CLOUDS, max_examples=60)
@given(st.sampled_from([2, 5, 30, 500]), st.integers(20, 90), st.integers(0, 2**32))
def test_a_sweep_of_points_of_any_dimension(d: int, n: int, seed: int) -> None:
    points = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    reduced = diagrams(points)
    with swept():
        assert all(map(np.array_equal, diagrams(points).dgms, reduced.dgms))


RING = np.stack(
    [np.cos(np.arange(200) * np.pi / 100), np.sin(np.arange(200) * np.pi / 100)], axis=1
)
LATE = {
    "a loop that outlives the guess": RING,
    "a loop that outlives it beside one that does not": np.concatenate([RING, RING * 0.1 + 5]),
    "two clusters, one edge between them": np.concatenate([RING * 1e-3, RING * 1e-3 + 1]),
    "four corners far apart": np.concatenate(
        [RING[::3] * 0.01 + corner for corner in ([0, 0], [0, 9], [9, 0], [9, 9])]
    ),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("maxdim", [1, 2])
def test_what_happens_late_is_not_missed(name: str, maxdim: int) -> None:
    """Short edges are looked at first, and often alone."""
    noise = np.random.default_rng(0).normal(scale=1e-5, size=LATE[name].shape)
    with few_are_many():
        assert_same(LATE[name] + noise, maxdim=maxdim, oracle="gudhi")


@pytest.mark.parametrize(("kind", "n"), [("traj", 1500), ("traj0", 300), ("absorb", 400)])
def test_leaving_out_long_edges_changes_no_bar(kind: str, n: int) -> None:
    points = point_clouds.make(kind, n)
    whole = diagrams(points)
    with few_are_many():
        short = diagrams(points)
        assert short.record.operations == diagrams(points, threads=3).record.operations
    assert all(map(np.array_equal, short.dgms, whole.dgms))
    if kind == "traj":
        assert short.record.peak_bytes < whole.record.peak_bytes


@settings(CLOUDS, max_examples=60)
@given(st.sampled_from([2, 3, 10]), st.integers(130, 160), st.integers(0, 2**32))
def test_leaving_out_long_edges_of_any_cloud(d: int, n: int, seed: int) -> None:
    """On a grid, so that lengths tie."""
    points = np.random.default_rng(seed).integers(0, 30, (n, d)).astype(np.float32)
    whole = diagrams(points)
    with few_are_many():
        assert all(map(np.array_equal, diagrams(points).dgms, whole.dgms))


def test_voids_of_a_trajectory_are_few_columns_and_little_work() -> None:
    """A column is a void that begins; no sum goes round by the larger side of a lune."""
    points = point_clouds.make("traj", 1500)
    record = diagrams(points).record
    bars = diagrams(points).dgms[2]
    assert len(bars) <= record.columns_reduced[2] <= len(bars) + 5
    loops_only = diagrams(points, maxdim=1).record
    assert record.operations - loops_only.operations < 100 * record.distinct_points


def test_a_sweep_takes_over_where_a_reduction_fills_in() -> None:
    """Noise of so few points that it has too few loops a point to be told beforehand."""
    points = point_clouds.make("unif", 90)
    with swept():
        swept_only = diagrams(points)
    with few_are_none():
        found = diagrams(points)
        assert found.record.operations == diagrams(points, threads=3).record.operations
    assert found.record.noise_ratio < NOISE_RATIO
    assert all(map(np.array_equal, found.dgms, swept_only.dgms))
    assert found.record.columns_reduced == swept_only.record.columns_reduced
    assert found.record.operations > diagrams(points).record.operations
    assert diagrams(points).record.operations > swept_only.record.operations


def kinds(sizes: dict[str, int]) -> list[Any]:
    return [pytest.param(kind, n, id=f"{kind}-{n}") for kind, n in sizes.items()]


@pytest.mark.parametrize(
    ("kind", "n"), kinds({"traj": 500, "traj0": 400, "absorb": 500, "unif": 100})
)
def test_embedding_like_clouds(kind: str, n: int) -> None:
    assert_same(point_clouds.make(kind, n))


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "n"), kinds({"traj": 2000, "traj0": 1000, "absorb": 2000, "unif": 150})
)
def test_large_embedding_like_clouds(kind: str, n: int) -> None:
    assert_same(point_clouds.make(kind, n))


@pytest.mark.parametrize("engine", ["giotto-ph", "gudhi"])
def test_a_grid_with_thousands_of_equal_distances(engine: str) -> None:
    side = np.arange(7, dtype=np.float32)
    assert_same(np.stack(np.meshgrid(side, side, side[:2]), axis=-1).reshape(-1, 3), oracle=engine)


def test_distances_are_exact_symmetric_and_zero_for_equal_rows_only() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((70, 45)).astype(np.float32)
    rows[1] = rows[0]
    rows[2] = np.nextafter(rows[0], np.float32(np.inf))  # hidden by cancellation in a product
    rows[3:5] = 0
    rows[4, 0] = 1e-45
    matrix = distance_matrix(rows)
    wide = rows.astype(np.longdouble)
    exact = np.sqrt(((wide[:, None] - wide[None]) ** 2).sum(axis=-1))
    assert np.array_equal(matrix, matrix.T)
    assert matrix[0, 1] == 0 < matrix[0, 2]
    assert matrix[3, 4] > 0
    assert np.array_equal(matrix == 0, exact == 0)
    rounding = np.abs(matrix - exact) / np.maximum(exact, 1e-40)
    assert rounding.max() < 2.0**-22


SAME_BITS = """
import hashlib, sys
import numpy as np
from panic_hpc.homology.api import diagrams
from panic_hpc.homology.distance_matrix import distance_matrix
points = np.random.default_rng(0).standard_normal((150, 37)).astype(np.float32)
points[20:40] = points[:20] * np.float32(1.0001)
noise = np.random.default_rng(1).standard_normal((130, 300))
awkward = np.random.default_rng(2).standard_normal((200, 101)).astype(np.float32)
awkward[:50] *= np.float32(1e-18)
awkward[50:100] *= np.float32(1e12)
awkward[100:140, 7] *= np.float32(1e4)
awkward[140:160] = awkward[120:140] * np.float32(1.00001)
awkward[160:] = awkward[160] + np.float32(1e-4) * awkward[160:]
awkward[5] = 0
tight = np.random.default_rng(3).standard_normal((150, 768)).astype(np.float32)
tight[:, 3] += np.float32(40)
rng = np.random.default_rng(4)  # pairs on both sides of what counts as close
close = tight[:1] + 10 ** -rng.uniform(1, 4, (130, 1)) * rng.standard_normal((130, 768))
small = rng.standard_normal((130, 768)) * np.exp2(rng.integers(-30, 3, (130, 768)))
found = [diagrams(points), diagrams(noise / np.linalg.norm(noise, axis=1, keepdims=True))]
assert found[1].record.noise_ratio > 3
counts = np.array([one.record.operations for one in found])
clouds = (points, awkward, tight, close.astype(np.float32), small.astype(np.float32))
parts = [distance_matrix(one) for one in clouds]
parts += [*found[0].dgms, *found[1].dgms, counts]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def test_every_instruction_set_gives_the_same_bits_and_counts() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", SAME_BITS],
            env={**os.environ, "PANIC_HPC_SIMD": name},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in ("baseline", "avx2", "avx512", "amx")
    }
    assert len(digests) == 1


def test_nothing_leaks() -> None:
    points = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)

    def work(times: int) -> int:
        for _ in range(times):
            diagrams(points)
            diagrams(points, budget=10)
            distance_matrix(points)
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    settled = work(20)
    # One leaked matrix a round would be 60 x 360 kB.
    assert work(60) - settled < 8_000
