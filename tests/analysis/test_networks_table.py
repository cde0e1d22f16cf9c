"""The first table of all: planted values within intervals, verdicts, and reasons for gaps."""

import re
from dataclasses import replace

import numpy as np
import pytest

from panic_hpc import installed
from panic_hpc.analysis import Planted, RunLabels, TrajectorySet, analysis, simulate
from panic_hpc.analysis.simulation.states import network_truth

PLANTED = Planted(prompts=20, networks=2, runs=3, states=200, dimensions=64, tau=25)


def test_planted_values_are_in_the_first_table() -> None:
    table = analysis("networks", simulate(PLANTED).trajectories).table("networks")
    assert table.data["verdict"] == ["kept", "kept"]
    for number in range(len(table)):
        row, truth = table.row(number), network_truth(PLANTED, number)
        for name in ("tau", "memory", "noise", "own_offset"):
            # Twice as wide: these are sixteen intervals of which one may miss.
            reach = row[f"{name}_high"] - row[f"{name}_low"]
            assert abs(row[name] - truth[name]) < reach, name
        assert row["flags"] == ""


def coverage(draws: int) -> dict[str, float]:
    """Return how often a network's planted values lie in their intervals, of four networks each."""
    names = ("step_length", "noise", "accumulation", "own_offset", "gap", "memory", "tau")
    hits: dict[str, list[bool]] = {name: [] for name in names}
    for seed in range(draws):
        planted = Planted(states=100, dimensions=64, tau=15, seed=seed)
        table = analysis("networks", simulate(planted).trajectories).table("networks")
        for number in range(len(table)):
            row, truth = table.row(number), network_truth(planted, number)
            for name, own in hits.items():
                own.append(row[f"{name}_low"] <= truth[name] <= row[f"{name}_high"])
    return {name: float(np.mean(own)) for name, own in hits.items()}


def test_what_is_planted_in_each_of_several_networks_lies_in_its_interval() -> None:
    """By the networks' own lengths: without them step and noise were covered in .55 of networks."""
    assert min(coverage(4).values()) >= 0.75


@pytest.mark.long
def test_intervals_of_several_networks_cover_at_their_rate() -> None:
    assert min(coverage(50).values()) >= 0.88


def test_a_prompt_that_fades_is_forgotten_in_the_end() -> None:
    fading = replace(PLANTED, networks=1)
    early = analysis("networks", simulate(replace(fading, memory_tau=150)).trajectories)
    late = analysis("networks", simulate(replace(fading, memory_tau=20)).trajectories)
    assert early.table("networks").data["verdict"] == ["not yet told"]
    assert late.table("networks").data["verdict"] == ["forgotten"]


def test_a_short_tau_is_flagged_with_the_bias() -> None:
    found = analysis("networks", simulate(replace(PLANTED, networks=1, tau=3)).trajectories)
    (flags,) = found.table("networks").data["flags"]
    assert "tau below 20 states" in flags
    (row,) = (found.table("networks").row(0),)
    assert row["noise_two_lags"] > 1.2 * row["noise"]


def labelled(n_prompts: int, runs: int, states: int) -> TrajectorySet:
    rng = np.random.default_rng(1)
    prompts = [f"p{p}" for p in range(n_prompts) for _ in range(runs)]
    labels = RunLabels.of({"prompt": prompts, "seed": list(range(runs)) * n_prompts})
    return TrajectorySet.of_array(rng.standard_normal((len(prompts), states, 6)), labels)


@pytest.mark.parametrize(
    ("prompts", "runs", "states", "reason"),
    [
        (1, 1, 50, "no prompt has two runs"),
        (1, 4, 50, "one prompt, so no strangers"),
        (6, 1, 50, "no prompt has two runs"),
        (3, 2, 50, "3 prompts; an interval takes 4"),
        (6, 2, 1, "one state"),
        (6, 2, 3, "3 states, too few for a fit"),
    ],
)
def test_what_cannot_be_told_has_a_reason(
    prompts: int, runs: int, states: int, reason: str
) -> None:
    found = analysis("networks", labelled(prompts, runs, states))
    assert any(reason in one.why for one in found.not_done), found.not_done
    assert found.table("networks").data["verdict"] == ["not yet told"]


def test_one_network_is_told_in_a_sentence_of_its_own() -> None:
    answer = installed.plugin("analyses", "networks").answer
    none = answer(analysis("networks", labelled(1, 1, 50)))
    assert none.sentence == (
        "Whether the prompt is forgotten is not yet told: memory has no interval"
    )
    kept = answer(analysis("networks", simulate(replace(PLANTED, networks=1)).trajectories))
    assert re.fullmatch(r"The prompt is kept; \d+% of what sets .* left of it", kept.sentence)


def test_missing_states_and_runs_leave_the_others() -> None:
    found = simulate(replace(PLANTED, prompts=6, networks=1)).trajectories
    found.vectors[:200] = np.nan
    found.lengths[3] = 0
    result = analysis("networks", found)
    row = result.table("networks").row(0)
    assert row["runs"] == 17
    assert np.isfinite(row["memory"])
    none = replace(found, lengths=np.zeros_like(found.lengths))
    assert analysis("networks", none).not_done[0].why == "no run has a state"
