"""KID and FID on sets whose distance is known."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators import vector_sets
from panic_hpc.analysis.estimators.vector_sets import fid, is_enough_for_fid, kid
from panic_hpc.errors import AnalysisError


def test_two_draws_of_one_distribution_are_apart_by_nothing_on_average() -> None:
    rng = np.random.default_rng(1)
    found = [kid(*rng.normal(size=(2, 60, 8))) for _ in range(200)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0 < max(found)
    assert kid(rng.normal(size=(60, 8)), rng.normal(0.5, 1, (60, 8))) > 10 * np.std(found)


def test_kid_is_its_formula() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
        for z in (x, y)
    ]
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(sum(within) - 2 * between)


def test_pieces_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 50, 4))
    whole = kid(x, y)
    monkeypatch.setattr(vector_sets, "PIECE_ROWS", 7)
    assert kid(x, y) == pytest.approx(whole, rel=1e-12)


def test_fid_of_normal_sets_is_that_of_their_distributions() -> None:
    """Means 2 apart in one of 4 dimensions, spreads 1 and 3: 4 + 4 (3 - 1)² = 20."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(40_000, 4)), 3 * rng.normal(size=(40_000, 4))
    y[:, 0] += 2
    assert fid(x, y) == pytest.approx(20, rel=0.02)
    assert fid(x, x) == pytest.approx(0, abs=1e-6)


def test_few_vectors_bias_fid() -> None:
    rng = np.random.default_rng(5)
    assert fid(*rng.normal(size=(2, 100, 16))) > 0.5
    assert not is_enough_for_fid(100, 16)
    assert is_enough_for_fid(2048, 16)
    assert not is_enough_for_fid(5000, 768)


def test_one_vector_is_no_set() -> None:
    with pytest.raises(AnalysisError, match=r"two vectors or more were expected, not an array"):
        kid(np.ones((1, 3)), np.ones((4, 3)))
