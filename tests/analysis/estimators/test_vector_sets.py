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


def test_sets_of_the_same_prompts_are_apart_by_what_is_between_their_distributions() -> None:
    """Two vectors a prompt in each set, alike by their prompt; the second set moved, or not."""
    rng = np.random.default_rng(6)
    of = np.repeat(np.arange(20), 2)

    def drawn(by: float) -> tuple[float, float, float]:
        shared, others = rng.normal(size=(2, 20, 8))
        x, y = (shared[of] + 0.3 * rng.normal(size=(40, 8)) for _ in range(2))
        apart = others[of] + 0.3 * rng.normal(size=(40, 8)) + by
        independent = kid(x, apart, (of, 100 + of))
        return kid(x, y + by), kid(x, y + by, (of, of)), independent

    for by in (0.0, 0.4):
        plain, between, independent = np.transpose([drawn(by) for _ in range(300)])
        error = np.hypot(between.std(), independent.std()) / np.sqrt(300)
        assert abs(between.mean() - independent.mean()) < 3 * error
        # Independent sets vary by their prompts, which pairs share.
        assert between.std() < independent.std()
        if not by:
            assert abs(between.mean()) < 3 * between.std() / np.sqrt(300)
            assert plain.mean() < -10 * plain.std() / np.sqrt(300)


def test_labels_of_one_prompt_leave_no_pair() -> None:
    x = np.random.default_rng(7).normal(size=(4, 3))
    with pytest.raises(AnalysisError, match="of two prompts or more"):
        kid(x, x, ([1] * 4, [1] * 4))


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
    # Labels that no two vectors share say that none depends on another.
    assert kid(x, y, (range(7), range(7, 12))) == pytest.approx(kid(x, y), rel=1e-12)


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
