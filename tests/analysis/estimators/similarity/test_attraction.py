"""Attractor strength and position: planted pulls, coverage, no pull."""

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis.estimators.similarity.attraction import Attraction, attraction
from panic_hpc.errors import AnalysisError


def study(strength: float, count: int = 200) -> list[Attraction]:
    """Return fits to 20 prompts of 3 runs that are pulled to a length of 60 words."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(count):
        start = rng.uniform(5, 100, 20)
        prompt = np.repeat(np.arange(20), 3)
        own = 4 * rng.normal(size=20)[prompt]
        final = start[prompt] + strength * (60 - start[prompt]) + own + 8 * rng.normal(size=60)
        found.append(attraction(start[prompt], final, prompt))
    return found


@pytest.mark.parametrize("strength", [0.3, 0.9])
def test_intervals_hold_planted_strength_and_position_at_their_nominal_rate(
    strength: float,
) -> None:
    found = study(strength)
    assert np.mean([one.strength_low <= strength <= one.strength_high for one in found]) > 0.9
    assert np.mean([one.position_low <= 60 <= one.position_high for one in found]) > 0.9
    assert np.median([one.position for one in found]) == pytest.approx(60, abs=2)


def test_where_nothing_pulls_p_values_are_uniform_and_the_position_is_anywhere() -> None:
    found = study(0.0)
    assert kstest([one.no_pull_p for one in found], "uniform").pvalue > 0.01
    assert np.mean([np.isinf(one.position_high) for one in found]) > 0.85


def test_where_all_is_forgotten_p_values_are_uniform() -> None:
    assert kstest([one.forgotten_p for one in study(1.0)], "uniform").pvalue > 0.01


def test_runs_of_one_prompt_count_once() -> None:
    prompt = np.repeat(np.arange(6), 50)
    assert attraction(prompt * 1.0, np.sin(prompt), prompt).n_prompts == 6


@pytest.mark.parametrize(
    ("initial", "words"),
    [([1.0, 2.0, 3.0, np.nan], "3 prompts"), ([2.0] * 4, "one value"), ([np.nan] * 4, "no run")],
)
def test_what_has_no_line_is_refused_with_the_reason(initial: list[float], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        attraction(initial, [1.0, 2.0, 3.0, 5.0], [0, 1, 2, 3])


@pytest.mark.parametrize("final", [[7.0] * 5, [2.0, 4.0, 6.0, 8.0, 10.0]])
def test_a_line_without_scatter_is_no_certainty(final: list[float]) -> None:
    with pytest.raises(AnalysisError, match="line exactly"):
        attraction([1.0, 2.0, 3.0, 4.0, 5.0], final, list("abcde"))
