"""`settling`: planted times are found, drift is not settled, and prompts tell what was planted."""

from dataclasses import replace

import numpy as np
import pytest

from panic_hpc.analysis import Planted, TrajectorySet, analysis, simulate
from panic_hpc.analysis.estimators.dynamics.settling import settling
from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError

STATES, D = 200, 16


def run(rng: np.random.Generator, until: int) -> np.ndarray:
    """Return a run that walks until a state, and stands still but for noise from it on."""
    steps = rng.normal(size=(STATES, D)) * 0.05
    steps[until:] = 0.0
    walk = np.r_[3.0, np.zeros(D - 1)] + np.cumsum(steps, axis=0)
    return unit_rows(walk + rng.normal(size=walk.shape) * 0.05)


def test_runs_settle_where_they_were_planted_to() -> None:
    rng = np.random.default_rng(0)
    for until in (0, 40, 100):
        found = [settling(run(rng, until), rng) for _ in range(40)]
        assert sum(until - 10 <= one.states <= until + 10 for one in found) >= 36
        assert all(one.has_settled for one in found)


def test_what_wanders_is_not_settled_and_what_stands_still_is_from_the_start() -> None:
    wandering = Planted(prompts=5, networks=1, runs=4, states=200, dimensions=32, tau=40)
    rng = np.random.default_rng(1)
    moving, still = (
        simulate(one).trajectories for one in (wandering, replace(wandering, theme=0.0))
    )
    assert sum(settling(moving.unit(one), rng).has_settled for one in range(20)) <= 1
    assert sum(settling(still.unit(one), rng).states == 0 for one in range(20)) >= 15
    assert settling(np.ones((40, 3)), rng).states == 0, "a run that stands still altogether"
    with pytest.raises(AnalysisError, match="39 states: it takes 40"):
        settling(np.ones((39, 3)), rng)


def planted(rng: np.random.Generator, decides: bool) -> TrajectorySet:
    """Return runs of 20 prompts; half of the prompts settle, as their embedding says or not."""
    first = rng.normal(size=20)
    settles = first > 0 if decides else rng.random(20) < 0.5
    prompts = np.repeat(np.arange(20), 3)
    vectors = np.stack([run(rng, 50 if settles[one] else STATES) for one in prompts])
    asked = np.stack([np.r_[3.0, first[one], np.zeros(D - 2)] for one in prompts])
    labels = {"prompt": [f"p{one}" for one in prompts]}
    return TrajectorySet.of_array(vectors, labels, prompts=asked.astype(np.float32))


def test_which_prompts_settle_is_foretold_where_their_embedding_decides() -> None:
    rng = np.random.default_rng(2)
    told = analysis("settling", planted(rng, True), draws=99)
    row, skill = told.table("settling").row(0), told.table("foretold").row(0)
    assert row["settled_low"] < 0.5 < row["settled_high"] + 0.1
    assert skill["low"] > 0
    assert "nobody knows" in told.statements[1].sentence
    by_chance = analysis("settling", planted(rng, False), draws=99).table("foretold").row(0)
    assert by_chance["low"] < 0
