"""Change points: a walk that drifts has none, planted jumps are found where they are."""

from dataclasses import replace

import numpy as np
import pytest

from panic_hpc.analysis import Planted, simulate
from panic_hpc.analysis.estimators.dynamics.changes import (
    change_points,
    contrasts,
    surrogate_contrasts,
)
from panic_hpc.analysis.estimators.dynamics.surrogates import drift_matched
from panic_hpc.errors import AnalysisError

DRIFT = Planted(prompts=20, networks=1, runs=1, states=300, dimensions=32, generator=0.0,
                captioner=0.0, interaction=0.0)  # fmt: skip


def share_that_jumps(planted: Planted) -> float:
    found = simulate(planted).trajectories
    rng = np.random.default_rng(0)
    jumps = [change_points(found.unit(run), rng).places for run in range(found.n_runs)]
    return float(np.mean([bool(places) for places in jumps]))


@pytest.mark.parametrize("tau", [3, 40])
def test_drift_alone_is_no_jump(tau: float) -> None:
    assert share_that_jumps(replace(DRIFT, tau=tau)) <= 0.05


@pytest.mark.long
@pytest.mark.parametrize("tau", [1, 3, 40, 400, 1e5])
@pytest.mark.parametrize("dimensions", [8, 64, 256])
def test_false_jumps_keep_to_their_rate(tau: float, dimensions: int) -> None:
    many = replace(DRIFT, prompts=100, tau=tau, dimensions=dimensions)
    assert share_that_jumps(many) <= 0.05


def test_planted_jumps_are_found_where_they_are() -> None:
    planted = replace(DRIFT, wells=4, escape=100, theme=0.05, dimensions=64)
    simulated, rng = simulate(planted), np.random.default_rng(0)
    found, hit, true = 0, 0, 0
    for run in range(planted.n_runs):
        at = np.flatnonzero(np.diff(simulated.wells[run])) + 1
        places = change_points(simulated.trajectories.unit(run), rng).places
        hit += sum(np.abs(at - place).min(initial=9) <= 2 for place in places)
        found, true = found + len(places), true + len(at)
    assert hit >= 0.95 * found
    assert hit >= 0.8 * true


def test_a_run_that_stands_still_has_no_jump_and_one_that_stops_is_no_trap() -> None:
    still = np.tile(np.eye(8)[0], (60, 1))
    assert change_points(still, np.random.default_rng(0)).places == ()
    assert change_points(still, np.random.default_rng(0)).dwells(60) == [(60, False)]
    moving = simulate(DRIFT).trajectories.unit(0).copy()
    moving[120:] = moving[120]
    assert len(change_points(moving, np.random.default_rng(0)).places) <= 1


def test_dwells_end_at_changes_and_the_last_does_not() -> None:
    states = np.repeat(np.eye(4)[[0, 1, 2]], 20, axis=0)
    noise = 0.05 * np.random.default_rng(0).standard_normal((60, 30))
    found = change_points(np.concatenate([states, noise], axis=1), np.random.default_rng(0))
    assert found.places == (20, 40)
    assert found.dwells(60) == [(20, True), (20, True), (20, False)]


@pytest.mark.parametrize("states", [np.eye(19), np.full((60, 3), np.nan)])
def test_what_has_too_few_states_is_refused(states: np.ndarray) -> None:
    with pytest.raises(AnalysisError, match="20 at least"):
        change_points(states, np.random.default_rng(0))


def test_surrogates_go_as_far_as_their_run_at_every_lag() -> None:
    states = simulate(DRIFT).trajectories.unit(3)
    drawn = list(drift_matched(states, np.random.default_rng(0), 40))
    for lag in (1, 5, 30):
        own = ((states[lag:] - states[:-lag]) ** 2).sum(axis=1).mean()
        theirs = np.mean([((s[lag:] - s[:-lag]) ** 2).sum(axis=1).mean() for s in drawn])
        assert theirs == pytest.approx(own, rel=0.1)


@pytest.mark.parametrize(("states", "dimensions"), [(60, 8), (61, 8), (40, 200)])
def test_changes_of_surrogates_are_those_of_the_surrogates_themselves(
    states: int, dimensions: int
) -> None:
    own = simulate(replace(DRIFT, states=states, dimensions=dimensions)).trajectories.unit(0)
    made = [contrasts(one, 5) for one in drift_matched(own, np.random.default_rng(1), 4)]
    told = list(surrogate_contrasts(own, np.random.default_rng(1), 4, 5))
    np.testing.assert_allclose(told, made, rtol=1e-4, atol=1e-6)
