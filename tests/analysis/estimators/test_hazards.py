"""Hazards: planted ratios lie in their intervals, and labels that do not matter have uniform p."""

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis import AnalysisSettings, TrajectorySet
from panic_hpc.analysis.estimators.survival.hazards import hazard_ratios, log_rank_scores
from panic_hpc.analysis.findings import Findings
from panic_hpc.analysis.hazards import Endings, hazards
from panic_hpc.errors import AnalysisError

PROMPTS, SEEDS, WATCHED = 16, 3, 60.0
NETWORK = np.repeat(["a", "b", "c"], PROMPTS * SEEDS)
PROMPT = np.tile(np.repeat([f"p{n}" for n in range(PROMPTS)], SEEDS), 3)
DOUBLE = {"a": 0.5, "b": 1.0, "c": 2.0}
"""Hazards of networks: their geometric mean is 1."""


def endings(
    rng: np.random.Generator, of_networks: bool = True, spread: float = 0.3, by_words: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return durations, whether each ended, and words; prompts differ in their hazard by spread."""
    of_prompt = np.tile(np.repeat(rng.normal(size=PROMPTS), SEEDS), 3) * spread
    words = np.tile(np.repeat(rng.normal(size=PROMPTS), SEEDS), 3)
    hazard = np.exp(of_prompt + by_words * words) * [
        DOUBLE[name] if of_networks else 1.0 for name in NETWORK
    ]
    time = np.ceil(rng.exponential(20 / hazard) / 5) * 5
    return np.minimum(time, WATCHED), time <= WATCHED, words


def covered(rng: np.random.Generator) -> list[bool]:
    time, ended, words = endings(rng, spread=0.0, by_words=0.4)
    truth = {**DOUBLE, "words": np.exp(0.4)}
    found = hazard_ratios(time, ended, NETWORK, {"words": words}, PROMPT)
    assert [one.term for one in found] == ["a", "b", "c", "words"]
    return [one.low < truth[one.term] < one.high for one in found]


def test_planted_ratios_of_hazards_are_in_their_intervals() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([covered(rng) for _ in range(5)]) >= 0.8


@pytest.mark.long
def test_intervals_of_hazards_hold_them_at_their_rate() -> None:
    rng = np.random.default_rng(1)
    assert (np.mean([covered(rng) for _ in range(100)], axis=0) >= 0.9).all()


def test_data_that_separate_have_a_reason_and_no_ratio() -> None:
    time, ended, _ = endings(np.random.default_rng(2))
    with pytest.raises(AnalysisError, match="separate"):
        hazard_ratios(time, ended & (NETWORK == "a"), NETWORK, {}, PROMPT)
    with pytest.raises(AnalysisError, match="one network"):
        hazard_ratios(time, ended, np.full(len(time), "a"), {}, PROMPT)


def test_scores_are_those_of_the_log_rank_test() -> None:
    """By hand: three are watched, ends at 1 (of three) and 2 (of two), one goes on."""
    assert log_rank_scores([1, 2, 3], [True, True, False]) == pytest.approx([2 / 3, 1 / 6, -5 / 6])
    with pytest.raises(AnalysisError, match="nothing ended"):
        log_rank_scores([1, 2], [False, False])


def told(rng: np.random.Generator, draws: int = 99, **more: object) -> Findings:
    """Return what is said of such endings, each of a run of its own."""
    time, ended, _ = endings(rng, **more)  # type: ignore[arg-type]
    labels = {"network": NETWORK, "prompt": PROMPT}
    found = TrajectorySet.of_array(np.ones((len(time), 1, 2)), labels)
    gathered = Findings()
    rows = zip(range(len(time)), time.tolist(), ended.tolist(), strict=True)
    settings = AnalysisSettings(draws=draws, seed=int(rng.integers(2**31)))
    table = hazards(found, Endings.of(rows, "settle"), settings, gathered)
    assert table.data["term"] == ["a", "b", "c"]
    return gathered


def test_networks_and_prompts_that_decide_are_found() -> None:
    found = told(np.random.default_rng(3), spread=1.0)
    assert [one.p for one in found.tests] == [0.01, 0.01]
    assert "networks matter (p 0.01), prompts matter" in found.statements[0].sentence


@pytest.mark.long
def test_p_is_uniform_where_networks_or_prompts_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    networks = [told(rng, of_networks=False, spread=0.8).tests[0].p for _ in range(80)]
    prompts = [told(rng, spread=0.0).tests[1].p for _ in range(80)]
    for p in (networks, prompts):
        assert kstest(np.array(p) - rng.uniform(0, 0.01, 80), "uniform").pvalue > 0.01
