"""Ends of runs: a run is not recognised by its prompt, chance has no skill, radii hold."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.prediction.ends import (
    PredictedEnds,
    conformal_radius,
    predict_ends,
    radius_coverage,
)
from panic_hpc.errors import AnalysisError


def unrelated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ends and places of 20 prompts of 16 runs: prompts move both, in ways that differ."""
    prompts = np.repeat(np.arange(20), 16)
    ends, recent = rng.normal(size=(2, 20, 24))[:, prompts] + rng.normal(size=(2, 320, 24)) * 0.3
    return ends, recent, prompts


def test_runs_of_held_out_prompts_are_not_recognised_by_their_twins() -> None:
    """With twins in training the end is "predicted" where nothing can be; whole prompts tell."""
    ends, recent, prompts = unrelated(np.random.default_rng(0))
    one = np.zeros(320)
    recognised = predict_ends(ends, recent, None, one, np.arange(320))
    assert recognised.skill(recognised.usual, 0.95)[0] > 0.6
    honest = predict_ends(ends, recent, None, one, prompts)
    skill, low, _ = honest.skill(honest.usual, 0.95)
    assert skill < 0.02
    assert low < 0


def small(
    rng: np.random.Generator, keeps: float, prompts: int = 12, runs: int = 3
) -> PredictedEnds:
    """Return predictions where a run keeps a share of its way from the mean."""
    codes = np.repeat(np.arange(prompts), runs)
    recent = rng.normal(size=(prompts, 6))[codes] + rng.normal(size=(len(codes), 6))
    ends = 3 + keeps * recent + rng.normal(size=recent.shape)
    return predict_ends(ends, 3 + recent, None, codes * 0, codes, folds=4)


def test_skill_is_found_where_runs_keep_half_of_their_way_and_not_where_none() -> None:
    rng = np.random.default_rng(1)
    made = small(rng, 0.5, prompts=60)
    # Squared errors a dimension: 1 of noise alone, 1 + 2 / 4 by either baseline.
    assert made.skill(made.usual, 0.95)[0] == pytest.approx(1 / 3, abs=0.07)
    assert made.skill(made.stays, 0.95)[0] == pytest.approx(1 / 3, abs=0.07)
    nothing = [small(rng, 0.0) for _ in range(60)]
    lows = [one.skill(one.better_baseline(), 0.95)[1] for one in nothing]
    assert np.mean(np.array(lows) > 0) <= 0.05


def test_a_radius_holds_runs_of_one_more_prompt_though_prompts_differ() -> None:
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(400):
        prompts = np.repeat(np.arange(25), rng.integers(1, 9, 25))
        luck = rng.exponential(size=25)
        distances = luck[prompts] * rng.random(len(prompts))
        inside.append(rng.exponential() * rng.random() <= conformal_radius(distances, prompts, 0.9))
    assert 0.87 <= np.mean(inside) <= 0.96
    assert radius_coverage(distances, prompts, 0.9) >= 0.8


def test_too_few_prompts_have_no_radius_and_fewer_no_skill() -> None:
    assert conformal_radius(np.ones(18), np.arange(18), 0.95) == np.inf
    assert conformal_radius(np.ones(19), np.arange(19), 0.95) == 1.0
    with pytest.raises(AnalysisError, match="3 prompts with runs of that length"):
        small(np.random.default_rng(3), 0.5, prompts=3)


def test_a_network_that_training_lacks_and_runs_with_gaps_do_not_break_it() -> None:
    rng = np.random.default_rng(4)
    ends, recent, prompts = unrelated(rng)
    ends[5] = np.nan
    networks = np.where(prompts == 0, "rare", "usual")
    made = predict_ends(ends, recent, recent, networks, prompts)
    assert len(made.ends) == 319
    assert np.isfinite(made.predicted).all()


def test_few_prompts_in_many_dimensions_do_not_blow_a_prediction_up() -> None:
    rng = np.random.default_rng(5)
    prompts = np.repeat(np.arange(6), 8)
    asked = rng.normal(size=(6, 128))[prompts]
    ends, recent = asked + rng.normal(size=(2, 48, 128))
    made = predict_ends(ends, recent, asked, prompts * 0, prompts)
    assert made.skill(made.better_baseline(), 0.95)[0] > -0.1
