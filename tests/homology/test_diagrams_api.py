"""What `diagrams` promises to whoever calls it: checks, units, order, record, stops."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from panic_hpc import homology
from panic_hpc.errors import HomologyError
from panic_hpc.homology.api import canonical, diagrams
from panic_hpc.homology.metrics import from_euclidean, to_euclidean

needs_native = pytest.mark.native
ENGINES = ["gudhi", pytest.param("lazy", marks=needs_native)]


def cloud(n: int, d: int = 8, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def noise(n: int) -> Any:
    """Nearly equidistant points: every reduction blows up."""
    points = cloud(n, d=500)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_circle_has_one_long_loop(engine: Any) -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    found = diagrams(np.stack([np.cos(angle), np.sin(angle)], axis=1), engine=engine)
    loops = found.dgms[1]
    assert len(loops) == 1
    # Born with the sides of the polygon, filled when triangles reach around: sqrt(3).
    assert loops[0] == pytest.approx([2 * math.sin(math.pi / 60), math.sqrt(3)], abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_octahedron_has_one_void(engine: Any) -> None:
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    found = diagrams(corners, engine=engine)
    assert found.dgms[1].shape == (0, 2)
    assert found.dgms[2] == pytest.approx(np.array([[math.sqrt(2), 2.0]]))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_torus_has_two_loops_and_a_void_that_stand_out(engine: Any) -> None:
    u, v = np.meshgrid(*[np.linspace(0, 2 * np.pi, 14, endpoint=False)] * 2)
    flat = np.stack([np.cos(u), np.sin(u), np.cos(v), np.sin(v)], axis=-1).reshape(-1, 4)
    found = diagrams(flat, engine=engine)
    for dimension, expected in ((1, 2), (2, 1)):
        births, deaths = found.dgms[dimension].T
        assert np.count_nonzero(deaths - births > 0.5) == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_tiny_clouds(engine: Any, n: int) -> None:
    found = diagrams(cloud(n), engine=engine)
    assert [len(dgm) for dgm in found.dgms] == [n, 0, 0]
    assert np.count_nonzero(np.isinf(found.dgms[0])) == min(n, 1)
    assert found.record.is_complete


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_points_count_once(engine: Any) -> None:
    same = diagrams(np.ones((40, 5), np.float32), engine=engine)
    assert same.dgms[0].tolist() == [[0, math.inf]]
    assert (same.record.points, same.record.distinct_points) == (40, 1)
    points = cloud(20)
    points[3, 0] = 0.0
    again = np.concatenate([points, points])
    again[23, 0] = -0.0
    assert diagrams(again, engine=engine).record.distinct_points == 20
    again[[3, 23], 5] = [0.0, -0.0]
    assert diagrams(again, engine=engine).record.distinct_points == 20


@pytest.mark.parametrize("engine", ENGINES)
def test_cosine_and_angular_are_maps_of_each_other(engine: Any) -> None:
    points = cloud(50)
    cosine = diagrams(points, metric="cosine", engine=engine)
    angular = diagrams(points * 7, metric="angular", engine=engine)
    for by_cosine, by_angle in zip(cosine.dgms, angular.dgms, strict=True):
        finite = np.isfinite(by_angle)
        assert by_cosine[finite] == pytest.approx(1 - np.cos(by_angle[finite]), abs=2e-6)
    assert angular.dgms[0][-2, 1] <= math.pi


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "angular"])
@needs_native
def test_thresh_is_in_units_of_the_metric_and_includes_itself(metric: Any) -> None:
    points = cloud(40)
    whole = diagrams(points, maxdim=0, metric=metric).dgms[0]
    middle = float(whole[20, 1])
    cut = diagrams(points, maxdim=0, metric=metric, thresh=middle).dgms[0]
    assert np.array_equal(cut[:21], whole[:21])
    assert np.isinf(cut[21:, 1]).all()


@needs_native
def test_order_of_the_points_changes_nothing_not_even_the_counts() -> None:
    points = cloud(120, d=3)
    there, back = diagrams(points), diagrams(points[::-1])
    assert all(np.array_equal(a, b) for a, b in zip(there.dgms, back.dgms, strict=True))
    assert there.record.operations == back.record.operations > 0
    assert there.record.columns_reduced == back.record.columns_reduced


@needs_native
@pytest.mark.parametrize("points", [cloud(200, d=4), noise(150)], ids=["cloud", "noise"])
def test_threads_change_nothing(points: Any) -> None:
    one, three = diagrams(points), diagrams(points, threads=3)
    assert all(np.array_equal(a, b) for a, b in zip(one.dgms, three.dgms, strict=True))
    assert one.record.operations == three.record.operations


def test_bars_are_sorted_by_birth_then_death_and_never_empty() -> None:
    bars = np.array([[1, 3], [0, np.inf], [1, 2], [2, 2], [0, 1]], np.float32)
    assert canonical(bars).tolist() == [[0, 1], [0, math.inf], [1, 2], [1, 3]]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "angular"])
@pytest.mark.parametrize(
    "thresh", [0.0, 1e-45, 1e-44, 1e-30, 0.1, 1.0, 2.0, 3.14159, math.pi, 1e300]
)
def test_any_thresh_becomes_the_longest_length_within_it(metric: str, thresh: float) -> None:
    """At once: some of these once walked through two billion floats."""
    longest = np.float32(to_euclidean(thresh, metric))
    if np.isinf(longest):
        assert thresh >= {"euclidean": 3.5e38, "cosine": 2, "angular": math.pi}[metric]
    else:
        beyond = np.nextafter(longest, np.float32(np.inf))
        # As Python's floats: numpy would round thresh to float32 first.
        within, too_far = from_euclidean(np.array([longest, beyond]), metric).tolist()
        assert within <= thresh < too_far


@pytest.mark.parametrize(
    ("metric", "largest"), [("angular", math.pi), ("angular", 3.1415927), ("cosine", 2.0)]
)
@needs_native
def test_the_largest_value_of_a_metric_leaves_no_edge_out(metric: Any, largest: float) -> None:
    opposite = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    limited = diagrams(opposite, metric=metric, thresh=largest, time_limit_s=10.0)
    assert np.array_equal(limited.dgms[0], diagrams(opposite, metric=metric).dgms[0])


@needs_native
def test_diagrams_are_compared_by_bars_and_record() -> None:
    once, again = diagrams(cloud(20)), diagrams(cloud(20))
    assert once == again
    assert once != diagrams(cloud(20, seed=1))
    assert once != diagrams(cloud(20), maxdim=1)
    assert once != "diagrams"
    assert once.record == again.record
    assert len({once.record, again.record}) == 1


def test_masked_numbers_are_refused_and_a_mask_of_nothing_is_not() -> None:
    points = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4)
    with pytest.raises(HomologyError, match="1 numbers of the points are masked"):
        diagrams(points, engine="gudhi")
    points.mask = np.ma.nomask
    assert len(diagrams(points, engine="gudhi").dgms[0]) == 3


def test_what_another_engine_cannot_do_is_told_as_our_error() -> None:
    pytest.importorskip("gph")
    with pytest.raises(HomologyError, match="2000 points up to dimension 5"):
        diagrams(cloud(2000, d=3), maxdim=5, engine="giotto-ph")


def test_the_package_offers_what_it_computes() -> None:
    assert homology.diagrams is diagrams
    with pytest.raises(AttributeError, match="persistence"):
        _ = homology.persistence


BAD_MATRIX: dict[str, Any] = {
    "negative": [[0, -1], [-1, 0]],
    "not symmetric": [[0, 1], [2, 0]],
    "diagonal": [[1, 1], [1, 1]],
    "shape": [[0, 1, 2], [1, 0, 3]],
    "NaN": [[0, math.nan], [math.nan, 0]],
    "infinity": [[0, math.inf], [math.inf, 0]],
}


@pytest.mark.parametrize("word", BAD_MATRIX)
def test_matrices_that_are_no_distances_are_refused(word: str) -> None:
    with pytest.raises(HomologyError, match=word):
        diagrams(BAD_MATRIX[word], metric="precomputed", engine="gudhi")


class NoArray:
    """As a tensor of a type that NumPy lacks."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("bfloat16")


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([[1.0, math.nan]], "row 0"),
        ([[0.0], [1e300]], "row 1"),
        ([1.0, 2.0], "shape"),
        ([["a"]], "dtype"),
        ([[1.0, 2.0], [3.0]], "no array"),
        ([[1j]], "dtype"),
        (NoArray(), "no array: bfloat16"),
    ],
)
def test_points_that_are_none_are_refused(points: Any, word: str) -> None:
    with pytest.raises(HomologyError, match=word):
        diagrams(points, engine="gudhi")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"metric": "manhattan"}, "manhattan"),
        ({"engine": "ripser"}, "ripser"),
        ({"maxdim": -1}, "maxdim"),
        ({"maxdim": 3}, "dimension 3"),
        ({"maxdim": 1.5}, "maxdim"),
        ({"threads": 0}, "threads"),
        ({"threads": "2"}, "threads"),
        ({"threads": 10**6}, "threads"),
        ({"thresh": None}, "thresh"),
        ({"time_limit_s": math.nan}, "time_limit_s"),
        ({"memory_limit_gb": 0}, "memory_limit_gb"),
        ({"memory_limit_gb": -1.0}, "memory_limit_gb"),
        ({"memory_limit_gb": math.nan}, "memory_limit_gb"),
        ({"budget": 0}, "budget"),
        ({"budget": 2**70}, "budget"),
        ({"thresh": -1.0}, "thresh"),
        ({"thresh": math.nan}, "thresh"),
        ({"thresh": 10**400}, "thresh"),
        ({"engine": "gudhi", "budget": 5}, "budget"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(HomologyError, match=word):
        diagrams(cloud(5), **options)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "angular", "precomputed"])
@pytest.mark.parametrize("scale", [1e-300, 1e-44])
def test_numbers_that_float32_would_round_away_are_refused(metric: Any, scale: float) -> None:
    """Of four points one was left, or four directions of three."""
    points = scale * np.array([[0, 1, 2.5], [1, 0, 3.7], [2.5, 3.7, 0]])
    with pytest.raises(HomologyError, match="float32 would lose digits"):
        diagrams(points, metric=metric, engine="gudhi")
    # Subnormal numbers of float32 are what they are.
    if scale > 1e-46:
        held = diagrams(points.astype(np.float32), metric=metric, engine="gudhi")
        assert held.record.distinct_points == 3


def test_small_numbers_beside_large_ones_are_no_loss() -> None:
    points = [[1.0, 1e-300], [2.0, 0.0], [1e-300, 0.0]]
    assert diagrams(points, engine="gudhi").dgms[0].tolist() == [[0, 1], [0, 1], [0, math.inf]]
    with pytest.raises(HomologyError, match="row 2"):
        diagrams(points, metric="cosine", engine="gudhi")


def test_a_zero_vector_has_no_direction() -> None:
    with pytest.raises(HomologyError, match="row 1"):
        diagrams([[1.0, 0.0], [0.0, 0.0]], metric="cosine", engine="gudhi")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("limits", [{"time_limit_s": 0}, {"memory_limit_gb": 1e-9}, {"maxdim": 0}])
def test_points_that_are_not_finite_are_told_before_any_limit(engine: Any, limits: Any) -> None:
    points = cloud(70, d=80)
    points[66, 79] = math.inf
    with pytest.raises(HomologyError, match="row 66"):
        diagrams(points, engine=engine, **limits)


@needs_native
@pytest.mark.parametrize("engine", ["lazy", "gudhi"])
def test_a_distance_beyond_float32_is_an_error(engine: Any) -> None:
    with pytest.raises(HomologyError, match="float32"):
        diagrams(np.array([[3e38], [-3e38]], np.float32), engine=engine)


@needs_native
def test_a_budget_stops_at_the_same_place_and_keeps_what_was_finished() -> None:
    points = noise(90)
    whole = diagrams(points)
    loops_only = diagrams(points, maxdim=1)
    budget = loops_only.record.operations + 50
    stopped = diagrams(points, budget=budget)
    assert stopped.record.stopped_reason == "budget"
    assert stopped.record.complete_dimensions == (0, 1)
    assert not stopped.record.is_complete
    assert all(np.array_equal(a, b) for a, b in zip(stopped.dgms, whole.dgms[:2], strict=True))
    assert stopped.record.operations == diagrams(points, budget=budget, threads=2).record.operations


@needs_native
def test_noise_can_be_told_from_a_curve() -> None:
    curve = np.cumsum(cloud(200, d=3), axis=0)
    assert diagrams(curve, maxdim=1).record.noise_ratio < 1
    assert diagrams(noise(200), maxdim=1).record.noise_ratio > 3


@needs_native
def test_no_limits_can_be_written_as_infinity() -> None:
    found = diagrams(cloud(20), time_limit_s=math.inf, memory_limit_gb=math.inf)
    assert found.record.is_complete
    # More than 64 bits count.
    assert diagrams(cloud(20), time_limit_s=1e300, memory_limit_gb=1e300) == found
    assert diagrams(cloud(20), memory_limit_gb=1e10) == found


@needs_native
@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_that_is_over_leaves_nothing(seconds: float) -> None:
    found = diagrams(cloud(20), time_limit_s=seconds)
    assert (found.record.stopped_reason, found.dgms) == ("deadline", ())


@needs_native
def test_memory_is_refused_before_it_is_taken() -> None:
    points = cloud(1000, d=4)
    nothing = diagrams(points, memory_limit_gb=0.003)
    assert (nothing.record.stopped_reason, nothing.dgms) == ("memory", ())
    some = diagrams(points, memory_limit_gb=0.008)
    assert some.record.complete_dimensions == (0,)
    assert some.record.peak_bytes <= 0.008e9


@needs_native
def test_noise_keeps_to_its_memory_too() -> None:
    points = noise(250)
    assert diagrams(points).record.peak_bytes > 0.01e9
    stopped = diagrams(points, memory_limit_gb=0.01)
    assert (stopped.record.stopped_reason, len(stopped.dgms)) == ("memory", 2)
    assert stopped.record.peak_bytes <= 0.01e9


@needs_native
def test_a_deadline_is_kept_and_what_was_finished_is_there() -> None:
    stopped = diagrams(noise(700), time_limit_s=1.0)
    assert stopped.record.stopped_reason == "deadline"
    assert len(stopped.dgms) == len(stopped.record.complete_dimensions) < 3


@needs_native
def test_other_threads_run_while_the_core_computes_and_control_c_is_answered() -> None:
    points = noise(1500)

    def tick() -> None:
        for _ in range(10):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    ticker = threading.Thread(target=tick)
    # It would take hours: a core that lets no thread run, or hears nothing, runs into the timeout.
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        ticker.start()
        diagrams(points, budget=10**15)
    ticker.join()


def test_importing_the_api_imports_no_engine() -> None:
    check = (
        "import sys, panic_hpc.homology.api; "
        "assert not {'gph', 'gudhi', 'sklearn', 'panic_hpc.homology._native'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_without_the_native_core_the_error_says_what_to_do() -> None:
    check = (
        "import sys; sys.modules['panic_hpc.homology._native'] = None\n"
        "from panic_hpc.homology.api import diagrams\n"
        "from panic_hpc.errors import HomologyError\n"
        "assert diagrams([[0.0], [1.0]], engine='gudhi').dgms[0].tolist()[0] == [0, 1]\n"
        "try: diagrams([[0.0]])\n"
        "except HomologyError as error: assert 'gudhi' in error.hint\n"
        "else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
