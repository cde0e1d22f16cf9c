"""Recurrence plots: lines of a plot are counted as drawn, and drift is not told from its walks."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from panic_hpc.analysis import Planted, TrajectorySet, analysis, simulate
from panic_hpc.analysis.analyses.staying.recurrence import BEYOND
from panic_hpc.analysis.estimators.dynamics.recurrence import (
    RecurrencePlot,
    noise_threshold,
    recurrence,
    theiler_window,
)
from panic_hpc.analysis.estimators.shape.drift import Drift, fit_drift
from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError


def test_lines_of_a_plot_are_counted() -> None:
    """Places a b c, then the same again, then c for three states: by hand."""
    plot = RecurrencePlot.of(np.eye(3)[[0, 1, 2, 0, 1, 2, 2, 2]], window=2)
    found = recurrence(plot, 0.5)
    # Of 21 pairs (0,3), (1,4), (2,5), (2,6), (2,7), (5,7) recur; the first three are a diagonal.
    assert found.recurrence_rate == pytest.approx(6 / 21)
    assert plot.rate_within(0.5) == pytest.approx(6 / 21)
    assert found.determinism == pytest.approx(3 / 6)
    # Vertical: state 2 meets 5, 6, 7 in one line; 5 and 7 each other, and 2, alone.
    assert found.laminarity == pytest.approx(3 / 12)
    assert found.trapping_time == 3
    assert recurrence(RecurrencePlot.of(np.eye(5), 1), 0.5).recurrence_rate == 0


def test_a_theiler_window_takes_a_walk_for_no_return() -> None:
    angle = np.linspace(0, 1.5, 60)
    slow = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert RecurrencePlot.of(slow, 1).rate_within(0.01) > 0.1
    assert RecurrencePlot.of(slow, 20).rate_within(0.01) == 0
    with pytest.raises(AnalysisError, match="no return can be told"):
        theiler_window(np.array([30.0]), 100)


def test_the_threshold_is_what_noise_alone_leaves() -> None:
    planted = Planted(prompts=1, networks=1, runs=1, states=400, tau=20)
    states = simulate(planted).trajectories.unit(0)
    found = noise_threshold(states, fit_drift(states), 0.5)
    assert found == pytest.approx(planted.noise, rel=0.1)
    still = unit_rows(np.ones((20, 3)))
    assert noise_threshold(still, Drift(0.0, ((0.1, 5.0),), 3, 20), 0.9) < 1e-5


DRIFT = Planted(prompts=24, networks=1, runs=1, states=120, dimensions=48, theme=0.03, noise=0.06,
                tau=4, generator=0.0, captioner=0.0, interaction=0.0)  # fmt: skip

WELLS = replace(DRIFT, wells=3, depth=0.3, escape=20, states=200, noise=0.034)


def p_values(planted: Planted) -> list[float]:
    result = analysis("recurrence", simulate(planted).trajectories)
    assert all(one.replication == "prompts" for one in result.tests)
    return [one.p for one in result.tests]


def test_drift_is_not_told_from_its_walks_and_places_to_return_to_are() -> None:
    assert min(p_values(DRIFT)) > 0.01
    assert min(p_values(WELLS)) < 0.001


def wells_are_beyond_drift(escape: float, seed: int) -> bool:
    """Return whether planted wells count as more than drift of another kind, by its laminarity."""
    wells = replace(WELLS, escape=escape, seed=seed)
    (said,) = analysis("recurrence", simulate(wells).trajectories).statements
    return said.low > 0.5 + BEYOND or said.high < 0.5 - BEYOND


def test_wells_that_are_left_soon_are_more_than_drift_of_another_kind() -> None:
    assert wells_are_beyond_drift(5, 100)


@pytest.mark.long
def test_wells_are_told_from_drift_of_another_kind_as_often_as_was_measured() -> None:
    """11 of 12 draws that are left after 5 states, 8 after 20: no answer is not "no wells"."""
    seeds = range(100, 112)
    assert sum(wells_are_beyond_drift(5, seed) for seed in seeds) >= 10
    assert sum(wells_are_beyond_drift(20, seed) for seed in seeds) >= 7


def two_times(seed: int, n: int = 24, states: int = 120, dimensions: int = 48) -> TrajectorySet:
    """Return runs that wander quickly and slowly at once, with noise."""
    rng = np.random.default_rng([seed, 77])
    vectors = rng.normal(size=(n, 1, dimensions)) * np.sqrt(0.1) + rng.normal(size=dimensions) * 0.8
    vectors = vectors + rng.normal(size=(n, states, dimensions)) * np.sqrt(0.06)
    for variance, tau in ((0.08, 1.0), (0.08, 12.0)):
        kept = np.exp(-1 / tau)
        pushes = rng.normal(size=(n, states + 80, dimensions)) * np.sqrt(variance * (1 - kept**2))
        vectors = vectors + lfilter([1], [1, -kept], pushes, axis=1)[:, 80:]
    return TrajectorySet.of_array(vectors, {"prompt": [f"p{run}" for run in range(n)]})


def test_what_wanders_quickly_and_slowly_at_once_is_drift() -> None:
    """Walks of one correlation time rejected .77 of such runs."""
    tests = [one for seed in range(3) for one in analysis("recurrence", two_times(seed)).tests]
    assert len(tests) == 9
    assert all(abs(one.statistic - 0.5) < 0.2 for one in tests)
    assert sum(one.p < 0.05 for one in tests) <= 2


@pytest.mark.long
def test_p_values_of_drift_keep_to_their_rate_nearly() -> None:
    """The fit of a drift is not perfect: .05 becomes .10 or so, at 24 prompts."""
    p = [
        one
        for seed in range(6)
        for tau in (1, 4, 12, 20)
        for theme in (0.03, 0.16)
        for one in p_values(replace(DRIFT, seed=seed, tau=tau, theme=theme))
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.12
    p = [one.p for seed in range(12) for one in analysis("recurrence", two_times(seed)).tests]
    assert np.mean(np.array(p) < 0.05) <= 0.15
