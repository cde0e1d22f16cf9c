"""Paired comparison on planted truth: intervals cover it, p-values are right without any."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.paired import (
    FEWEST_PROMPTS,
    holm,
    paired_difference,
    sign_flip_p,
)
from panic_hpc.analysis.estimators.unit_means import UnitMeans, unit_means

DRAWS, PROMPTS, SEEDS = 2_000, 24, 8
UNITS = np.repeat(np.arange(PROMPTS), SEEDS)
PROMPT_OF = UNITS.tolist()


def differences(rng: np.random.Generator, effect: float) -> np.ndarray:
    """Return each pair's difference of shares of ten facts, prompts differing in the effect.

    As measured between neighbouring cells of configs/experiments/sweep.toml: 0.06 between prompts,
    0.11 between seeds of one.
    """
    own = effect + rng.normal(0, 0.06, PROMPTS)[UNITS] + rng.normal(0, 0.11, len(UNITS))
    return np.asarray(np.round(10 * own) / 10)


def test_an_interval_covers_no_effect_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20)
    bounds = [unit_means(differences(rng, 0.0), PROMPT_OF).bounds(0.95) for _ in range(DRAWS)]
    covered = np.mean([low <= 0 <= high for low, high in bounds])
    assert 0.93 <= covered <= 0.97


def test_pairs_of_one_prompt_taken_as_independent_would_cover_too_seldom() -> None:
    rng = np.random.default_rng(21)
    bounds = [UnitMeans(differences(rng, 0.0)).bounds(0.95) for _ in range(500)]
    assert np.mean([low <= 0 <= high for low, high in bounds]) < 0.92


def test_without_an_effect_p_values_are_even() -> None:
    rng = np.random.default_rng(22)
    found = [
        sign_flip_p(unit_means(differences(rng, 0.0), PROMPT_OF).values, 499, rng)
        for _ in range(DRAWS // 2)
    ]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.035)


def test_a_twentieth_more_is_found_in_three_of_four() -> None:
    rng = np.random.default_rng(23)
    found = [
        paired_difference(differences(rng, 0.05), PROMPT_OF, flips=499, seed=k) for k in range(400)
    ]
    assert np.mean([one.p <= 0.05 for one in found]) >= 0.75
    assert np.mean([one.mean for one in found]) == pytest.approx(0.05, abs=0.005)


def test_few_prompts_are_counted_exactly() -> None:
    found = paired_difference([0.1, 0.2, 0.1, 0.3, 0.2, 0.2], "abcdef")
    assert found.p == 2 / 64
    one_against = paired_difference([0.1, 0.2, 0.1, 0.3, 0.2, -0.05], "abcdef")
    # Only the arrangement itself, the one with the small value flipped too, and their mirrors.
    assert one_against.p == 4 / 64


def test_every_prompt_counts_alike_however_many_pairs_it_has() -> None:
    values, units = [1.0] + [0.0] * 99, ["one", *["other"] * 99]
    assert paired_difference(values, units).mean == 0.5


def test_fewer_prompts_than_can_tell_have_no_interval_and_say_why() -> None:
    units = [str(n) for n in range(FEWEST_PROMPTS - 1)]
    found = paired_difference([0.5] * len(units), units)
    assert found.mean == 0.5
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.why == "5 of the 6 prompts that an interval needs"
    nothing = paired_difference([], [])
    assert (nothing.n_pairs, nothing.why) == (0, "no pair of equal prompt and seed")


def test_values_that_are_not_finite_are_left_out() -> None:
    values = [0.1, float("nan"), 0.3, float("inf")]
    found = paired_difference(values, ["a", "a", "b", "b"])
    assert found.mean == pytest.approx(0.2)
    assert found.n_pairs == 2


def test_no_difference_at_all_is_no_evidence() -> None:
    assert paired_difference([0.0] * 8, "abcdefgh").p == 1.0


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([float("nan"), 0.02, 0.01], [float("nan"), 0.02, 0.02]),
        ([], []),
    ],
)
def test_several_arms_are_corrected_together(p: list[float], corrected: list[float]) -> None:
    assert holm(p) == pytest.approx(corrected, nan_ok=True)
