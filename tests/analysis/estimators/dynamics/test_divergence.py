"""Twins that wander apart are no chaos, though their exponent is positive; chaos is found."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from panic_hpc.analysis.estimators.dynamics.divergence import Exponent, courses, exponent
from panic_hpc.errors import AnalysisError

PROMPTS, RUNS, STATES, D = 12, 3, 40, 24
CODES = np.repeat(np.arange(PROMPTS), RUNS)


def told(rng: np.random.Generator, away: Callable[[np.ndarray, int], np.ndarray]) -> Exponent:
    """Return the exponent of runs that begin at their prompt and go `away` from it state by state.

    `away` gives the next displacement (runs, D) from the one before and the state.
    """
    centre = np.r_[2.0, np.zeros(D - 1)] + rng.normal(size=(PROMPTS, D))[CODES] * np.sqrt(0.6 / D)
    at, states = rng.normal(size=(len(CODES), D)) * 1e-4, []
    for state in range(STATES):
        at = away(at, state)
        states.append(centre + at + rng.normal(size=at.shape) * np.sqrt(0.03 / D))
    made = courses(states, CODES, CODES)
    return exponent(made.twins, made.strangers)


def wanders(
    rng: np.random.Generator, kept: float, push: float, at: np.ndarray, state: int
) -> np.ndarray:
    return np.asarray(kept * at + rng.normal(size=at.shape) * push)


@pytest.mark.parametrize(("tau", "theme"), [(40.0, 0.5), (1000.0, 8.0)])
def test_what_wanders_has_a_positive_exponent_and_no_evidence_of_chaos(
    tau: float, theme: float
) -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        kept = np.exp(-1 / tau)
        push = np.sqrt((1 - kept**2) * theme / D)
        found.append(told(rng, partial(wanders, rng, kept, push)))
    assert all(one.slope > 0 for one in found), "the naive answer, wrong in every draw"
    assert np.mean([one.p < 0.05 for one in found]) <= 0.05


def test_exponential_divergence_is_found() -> None:
    def grows(at: np.ndarray, state: int) -> np.ndarray:
        lengths = np.linalg.norm(at, axis=1, keepdims=True)
        return at * np.minimum(1.35, 0.9 / lengths)

    found = [told(np.random.default_rng(seed), grows) for seed in range(10)]
    assert sum(one.p < 0.05 for one in found) >= 9
    assert all(one.low > 0 for one in found if one.p < 0.02)


def test_twins_that_begin_apart_or_in_one_place_have_no_exponent() -> None:
    far = np.full((20, 6), 0.3)
    with pytest.raises(AnalysisError, match="for 0 states of 5 prompts"):
        exponent(far, far)
    with pytest.raises(AnalysisError, match="no distance to grow"):
        exponent(np.zeros((20, 6)), far)
