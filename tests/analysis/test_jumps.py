"""`jumps`: planted escape times are found, drift is not stuck nor jumping, gaps have reasons."""

from dataclasses import replace

import numpy as np
import pytest

from panic_hpc.analysis import Planted, analysis, simulate
from panic_hpc.analysis.analyses.staying.jumps import more_often_than

WELLS = Planted(prompts=8, networks=1, runs=2, states=400, dimensions=64, theme=0.05, wells=4,
                escape=100, generator=0.0, captioner=0.0, interaction=0.0)  # fmt: skip


def test_the_planted_escape_time_is_in_its_interval() -> None:
    row = analysis("jumps", simulate(WELLS).trajectories).table("leaving").row(0)
    assert row["median_low"] <= 100 * np.log(2) <= row["median_high"]
    assert row["p"] < 0.001


def test_runs_that_never_leave_have_no_median_and_no_evidence() -> None:
    result = analysis("jumps", simulate(replace(WELLS, escape=np.inf, tau=20)).trajectories)
    row = result.table("leaving").row(0)
    assert row["left"] == 0
    assert row["median"] == np.inf
    assert result.tests[0].p > 0.5
    assert result.tests[0].replication == "prompts"
    assert "last until watching stops" in result.statements[0].sentence


def test_chance_is_no_evidence() -> None:
    """Shares of runs that jump at the very rate of false jumps: p is rarely small."""
    rng = np.random.default_rng(0)
    prompts = [f"p{n}" for n in range(20) for _ in range(10)]
    p = [more_often_than((rng.random(200) < 0.05).tolist(), prompts, 0.05) for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) <= 0.07
    assert np.isnan(more_often_than([True], ["a"], 0.05))


SMALL = replace(WELLS, states=40, dimensions=8)


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        (replace(SMALL, states=12), "no run has 20 finite states"),
        (replace(SMALL, prompts=3), "3 prompts; an interval takes 4"),
        (replace(SMALL, runs=12), "80 of 96 are looked at"),
    ],
)
def test_what_was_left_out_is_said(planted: Planted, reason: str) -> None:
    result = analysis("jumps", simulate(planted).trajectories)
    assert any(reason in one.why for one in result.not_done), result.not_done


def test_runs_with_gaps_are_left_out_and_others_stay() -> None:
    found = simulate(replace(WELLS, states=60)).trajectories
    found.vectors[:60] = np.nan
    found.lengths[1] = 0
    result = analysis("jumps", found)
    assert result.table("jumps").data["run"] == list(range(2, 16))
    assert any("not finite" in one.why for one in result.not_done)
