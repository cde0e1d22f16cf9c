"""`stationarity` and `periodicity`: planted themes and alternations are found, others are not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis import Planted, TrajectorySet, analysis, simulate
from panic_hpc.analysis.estimators.dynamics.stationarity import stationarity
from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError

ONE = Planted(prompts=20, networks=1, runs=1, states=160, dimensions=48, generator=0.0,
              captioner=0.0, interaction=0.0)  # fmt: skip
STILL = replace(ONE, theme=0.0)


def seen(planted: Planted, **settings: int) -> dict[str, float]:
    return analysis("stationarity", simulate(planted).trajectories, **settings).table(
        "stationarity"
    ).row(0)  # fmt: skip


def test_a_theme_that_stands_still_is_within_noise_and_one_that_wanders_is_not() -> None:
    still, short, long = (seen(one) for one in (STILL, replace(ONE, tau=2), replace(ONE, tau=400)))
    assert still["still"] >= 0.85
    assert still["theme_low"] < 0 < still["theme_high"]
    assert short["still"] <= 0.1
    assert short["p"] > 0.01, "it forgets within a stretch, and stays about"
    assert long["p"] < 0.001, "it leaves"


def test_the_variance_of_a_slow_theme_is_found() -> None:
    """Themes that stay in a stretch and are new in the next: drawn here, stretch by stretch."""
    rng = np.random.default_rng(0)
    themes = np.repeat(rng.normal(size=(30, 16, 64)) * np.sqrt(0.02 / 64), 10, axis=1)
    noise = rng.normal(size=themes.shape) * np.sqrt(0.03 / 64)
    states = unit_rows(np.r_[3.0, np.zeros(63)] / 3 + themes + noise)
    found = TrajectorySet.of_array(states, {"prompt": [f"p{n}" for n in range(30)]})
    row = analysis("stationarity", found, orders=19).table("stationarity").row(0)
    assert row["theme_low"] < 0.02 * 0.95 < row["theme_high"]
    assert row["theme"] == pytest.approx(0.019, rel=0.1)


def test_the_band_of_noise_holds_what_stands_still() -> None:
    table = analysis("stationarity", simulate(STILL).trajectories).table("course")
    inside = [
        low <= distance <= high
        for low, distance, high in zip(
            table.data["noise_low"], table.data["distance"], table.data["noise_high"], strict=True
        )
    ]
    assert sum(inside) >= 6


def test_a_run_that_is_too_short_has_a_reason() -> None:
    with pytest.raises(AnalysisError, match="48 at least"):
        stationarity(np.ones((46, 3)), np.random.default_rng(0))
    assert stationarity(np.ones((48, 3)), np.random.default_rng(0), draws=19).p == 1


@pytest.mark.long
def test_p_values_are_uniform_where_nothing_was_planted() -> None:
    """Of one run standing still, of themes that do not leave, of runs that do not alternate."""
    rng = np.random.default_rng(1)
    still, leaves, alternates = [], [], []
    for seed in range(100):
        found = simulate(replace(STILL, prompts=8, states=80, seed=seed)).trajectories
        still.append(stationarity(found.unit(0), rng).p - rng.uniform(0, 0.005))
        leaves.append(analysis("stationarity", found, orders=19).tests[0].p)
        alternates.append(analysis("periodicity", found).tests[0].p)
    for p in (still, leaves, alternates):
        assert kstest(p, "uniform").pvalue > 0.01


def alternating(by: float, tau: float = 40.0) -> TrajectorySet:
    """Return runs that step to one side and back by `by`, beside their drift."""
    found = simulate(replace(ONE, prompts=8, tau=tau)).trajectories
    signs = np.where(np.arange(160) % 2, by, -by)
    away = np.random.default_rng(3).normal(size=(8, 1, 48))
    away /= np.linalg.norm(away, axis=2, keepdims=True)
    states = found.vectors.reshape(8, 160, 48) + signs[:, None] * away
    return TrajectorySet.of_array(unit_rows(states), found.labels)


@pytest.mark.parametrize("tau", [3, 40])
def test_runs_that_alternate_are_found_and_drift_does_not(tau: float) -> None:
    # Two states on different sides are 2 by² farther apart, and it is D(1) and D(3) that are.
    row = analysis("periodicity", alternating(0.1, tau)).table("alternation").row(0)
    assert row["excess_low"] > 0
    assert row["p"] < 0.01
    assert row["excess"] == pytest.approx(0.02, rel=0.35)
    drifting = analysis("periodicity", alternating(0.0, tau))
    assert drifting.table("alternation").row(0)["p"] > 0.05
    assert "no sign" in drifting.statements[0].sentence
