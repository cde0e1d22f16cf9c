"""Nested variance: planted components are found again, of uneven runs and prompts."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.variance.nested import nested_shares
from panic_hpc.errors import AnalysisError

PLANTED = (0.37, 0.30, 0.33)


def drawn(rng: np.random.Generator, prompts: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    runs_of = rng.integers(2, 6, prompts)
    prompt = np.repeat(np.arange(prompts), runs_of)
    counts = rng.integers(2, 12, len(prompt))
    places = np.sqrt(PLANTED[0]) * rng.normal(size=prompts)[prompt]
    places = places + np.sqrt(PLANTED[1]) * rng.normal(size=len(prompt))
    noise = np.sqrt(PLANTED[2]) * rng.normal(size=counts.sum())
    run = np.repeat(np.arange(len(prompt)), counts)
    return places[run] + noise, run, prompt[run]


def test_planted_components_are_found_without_bias_and_covered() -> None:
    rng = np.random.default_rng(0)
    found = [nested_shares(*drawn(rng)) for _ in range(800)]
    means = np.mean([one.variances for one in found], axis=0)
    np.testing.assert_allclose(means, PLANTED, atol=0.01)
    covered = [
        [low < truth < high for low, high, truth in zip(one.low, one.high, PLANTED, strict=True)]
        for one in found
    ]
    assert (np.mean(covered, axis=0) > 0.91).all()
    assert all(sum(one.shares) == pytest.approx(1) for one in found)


@pytest.mark.parametrize(
    ("runs", "prompts", "reason"),
    [
        ([0, 0, 1, 1], [0, 0, 0, 0], "one prompt"),
        ([0, 0, 1, 1], [0, 0, 1, 1], "no prompt has two runs"),
        ([0, 1, 2, 3], [0, 0, 1, 1], "no run has two values"),
    ],
)
def test_a_design_that_cannot_tell_is_refused(
    runs: list[int], prompts: list[int], reason: str
) -> None:
    with pytest.raises(AnalysisError, match=reason):
        nested_shares([1.0, 2.0, 4.0, 8.0], runs, prompts)
    with pytest.raises(AnalysisError, match="equal"):
        nested_shares([1.0] * 6, [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1])


def test_two_prompts_have_shares_and_no_bounds() -> None:
    found = nested_shares(*drawn(np.random.default_rng(1), prompts=2))
    assert np.isfinite(found.shares).all()
    assert np.isnan(found.low).all()
