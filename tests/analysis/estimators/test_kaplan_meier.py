"""Survival: the textbook's numbers, censoring, and intervals that cover over whole prompts."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.survival.kaplan_meier import kaplan_meier
from panic_hpc.errors import AnalysisError


def test_the_curve_is_the_product_limit() -> None:
    """Remission of 21 patients with 6-mercaptopurine (Freireich et al. 1963), as in textbooks."""
    times = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    ended = [True] * 9 + [False] * 12
    found = kaplan_meier(times, ended, range(21), draws=99)
    assert found.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    np.testing.assert_allclose(
        found.share, [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], atol=5e-4
    )
    assert found.median == 23


def test_what_never_ends_has_no_median() -> None:
    found = kaplan_meier([50] * 8, [False] * 8, range(8), draws=99)
    assert found.median == np.inf
    assert found.median_low == np.inf
    assert found.events == 0


def covered(draws: int) -> float:
    """Return how often the median lies in its interval where prompts differ in their escape."""
    big = np.random.default_rng(99)
    truth = np.median(np.ceil(big.exponential(50 * big.gamma(8, 1 / 8, 400_000))))
    hits = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        prompts = np.repeat(np.arange(20), 4)
        times = np.ceil(rng.exponential(50 * rng.gamma(8, 1 / 8, 20)[prompts]))
        found = kaplan_meier(np.minimum(times, 100), times <= 100, prompts, draws=399, seed=seed)
        hits.append(found.median_low <= truth <= found.median_high)
    return float(np.mean(hits))


def test_the_median_lies_in_its_interval() -> None:
    assert covered(30) >= 0.83


@pytest.mark.long
def test_the_median_is_covered_at_its_rate() -> None:
    assert covered(400) >= 0.92


def test_few_prompts_have_no_interval_and_nothing_is_an_error() -> None:
    found = kaplan_meier([3, 4, 5], [True, True, False], ["a", "b", "b"])
    assert np.isnan(found.median_low)
    with pytest.raises(AnalysisError, match="nothing was watched"):
        kaplan_meier([], [], [])
