"""Diagrams in numbers, runs against drift-matched nulls, and features that add or do not."""

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis import Planted, simulate
from panic_hpc.analysis.estimators.shape.added import added_skill
from panic_hpc.analysis.estimators.shape.bars import betti_curve, summarise_bars
from panic_hpc.analysis.estimators.shape.drift import fit_drift
from panic_hpc.analysis.estimators.shape.nulls import against_null
from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError
from panic_hpc.homology.api import diagrams
from panic_hpc.homology.entropy import persistence_entropy


def test_betti_curves_count_equal_bars_each_and_endless_ones_for_good() -> None:
    dgm = np.array([[0, 1], [0, 1], [0.5, 2], [0, np.inf]])
    assert betti_curve(dgm, np.array([-1, 0, 0.5, 1, 2, 99])).tolist() == [0, 3, 4, 2, 1, 1]


@pytest.mark.parametrize("dgm", [np.empty((0, 2)), np.array([[0.0, np.inf]])])
def test_empty_and_one_point_diagrams_have_their_numbers(dgm: np.ndarray) -> None:
    found = summarise_bars(dgm)
    assert (found.bars, found.endless, found.total) == (0, len(dgm), 0.0)
    assert np.isnan(found.entropy)
    assert betti_curve(dgm, np.array([3.0])).tolist() == [len(dgm)]


def test_numbers_of_bars_agree_with_the_entropy_of_the_store() -> None:
    rng = np.random.default_rng(1)
    births = rng.random(30)
    dgm = np.stack([births, births + rng.random(30)], axis=1)
    assert summarise_bars(dgm).entropy == pytest.approx(persistence_entropy(dgm))
    with pytest.raises(AnalysisError, match="not a number"):
        betti_curve(np.array([[0, np.nan]]), np.array([1.0]))


def ranked(rng: np.random.Generator, shift: float) -> float:
    """Return p for 12 prompts of 3 runs that share a prompt's own luck."""
    prompt = np.repeat(np.arange(12), 3)
    luck = rng.normal(size=12)[prompt]
    drawn = rng.normal(size=(36, 20)) * np.sqrt(2)
    return against_null(luck + rng.normal(size=36) + shift, drawn, prompt).p


def test_p_values_are_uniform_where_runs_are_like_their_surrogates() -> None:
    rng = np.random.default_rng(2)
    assert kstest([ranked(rng, 0.0) for _ in range(200)], "uniform").pvalue > 0.01
    assert ranked(rng, 4.0) < 1e-4


def test_equal_statistics_are_no_evidence_and_missing_ones_are_left_out() -> None:
    found = against_null([1.0] * 5 + [np.nan], np.ones((6, 3)), [0, 0, 1, 2, 3, 4])
    assert (found.rank, found.p, found.n_prompts, found.above) == (0.5, 1.0, 4, 0.0)
    with pytest.raises(AnalysisError, match="no surrogate"):
        against_null([1.0], np.ones((1, 0)), [0])


def features(rng: np.random.Generator, share: float) -> tuple[np.ndarray, ...]:
    prompt = np.repeat(np.arange(20), 5)
    base, added = rng.normal(size=(2, 100, 3))
    outcome = base[:, 0] + share * added[:, 0] + rng.normal(size=20)[prompt]
    return outcome + 0.5 * rng.normal(size=100), base, added, prompt


def test_features_that_add_are_told_from_those_that_do_not() -> None:
    rng = np.random.default_rng(3)
    useful = added_skill(*features(rng, 1.0))
    idle = [added_skill(*features(rng, 0.0)) for _ in range(20)]
    assert useful.low > 0.1
    assert np.mean([one.low > 0 for one in idle]) <= 0.1
    assert np.mean([one.gain for one in idle]) < 0.01


def test_a_prompts_own_value_is_not_taken_for_skill() -> None:
    rng = np.random.default_rng(4)
    prompt = np.repeat(np.arange(20), 16)
    # Each prompt has a place and, unrelated to it, an outcome: the trap of random folds.
    place = rng.normal(size=(20, 15))[prompt] + 0.1 * rng.normal(size=(320, 15))
    outcome = rng.normal(size=20)[prompt]
    found = added_skill(outcome, place, np.zeros((320, 1)), prompt)
    assert found.base < 0.2
    assert abs(found.gain) < 1e-9


def test_one_prompt_or_one_outcome_is_refused_with_the_reason() -> None:
    with pytest.raises(AnalysisError, match="1 prompt: "):
        added_skill([1.0, 2.0], [[1.0], [2.0]], [[1.0], [2.0]], [0, 0])
    with pytest.raises(AnalysisError, match="same for all"):
        added_skill(np.ones(8), np.ones((8, 1)), np.ones((8, 1)), np.arange(8))


def runs_of(planted: Planted) -> list[np.ndarray]:
    found = simulate(planted).trajectories
    return [found.of_run(run)[-80:] for run in range(found.n_runs)]


def test_a_drift_is_fitted_as_it_was_planted() -> None:
    planted = Planted(prompts=20, networks=1, runs=1, states=400, dimensions=256, tau=12, theme=0.2)
    found = simulate(planted).trajectories
    fitted = [fit_drift(found.of_run(run)) for run in range(20)]
    assert np.mean([one.noise for one in fitted]) == pytest.approx(planted.noise, rel=0.15)
    assert np.mean([one.theme for one in fitted]) == pytest.approx(planted.theme, rel=0.15)
    assert np.median([one.tau for one in fitted]) == pytest.approx(planted.tau, rel=0.25)
    assert np.median([one.dimensions for one in fitted]) == pytest.approx(256, rel=0.1)


@pytest.mark.parametrize(("dimensions", "tau"), [(32, 5.0), (64, 30.0)])
def test_runs_of_nothing_but_drift_are_like_walks_of_that_drift(
    dimensions: int, tau: float
) -> None:
    rng = np.random.default_rng(3)
    ranks = []
    for run in runs_of(
        Planted(prompts=40, networks=1, runs=1, states=120, dimensions=dimensions, tau=tau)
    ):
        drift = fit_drift(run)
        observed, *drawn = (
            [summarise_bars(dgm).total for dgm in diagrams(cloud, 1).dgms]
            for cloud in (run, *(drift.draw(rng) for _ in range(7)))
        )
        ranks.append((np.array(drawn) < observed).mean(axis=0))
    assert np.mean(ranks, axis=0) == pytest.approx(0.5, abs=0.2)


def test_a_planted_circle_is_more_than_drift() -> None:
    rng = np.random.default_rng(4)
    angle = np.linspace(0, 4 * np.pi, 80)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ rng.normal(size=(2, 32))
    run = unit_rows(8 * rng.normal(size=32) + circle + 0.3 * rng.normal(size=(80, 32)))
    drift = fit_drift(run)
    observed, *drawn = (
        summarise_bars(diagrams(cloud, 1).dgms[1]).longest
        for cloud in (run, *(drift.draw(rng) for _ in range(19)))
    )
    assert observed > max(drawn)


def test_what_has_no_drift_is_refused_with_the_reason() -> None:
    with pytest.raises(AnalysisError, match="3 states"):
        fit_drift(np.ones((3, 2)))
    with pytest.raises(AnalysisError, match="all states are equal"):
        fit_drift(np.ones((30, 2)))
