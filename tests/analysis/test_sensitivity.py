"""`sensitivity`: planted likeness of wordings and shares of seeds lie in their intervals."""

from dataclasses import replace

import pytest

from panic_hpc.analysis import Planted, TrajectorySet, analysis, simulate

WORDED = Planted(
    prompts=24, networks=1, runs=3, states=24, dimensions=48, group_size=3, likeness=0.7, gap=0.3,
    generator=0.0, captioner=0.0, interaction=0.0, tau=3,
)  # fmt: skip


def test_what_seeds_and_wordings_do_is_what_was_planted() -> None:
    inside = 0
    for seed in range(10):
        planted = replace(WORDED, seed=seed)
        table = analysis("sensitivity", simulate(planted).trajectories).table("shares")
        seeds, words = table.row(0), table.row(1)
        twins = planted.noise + planted.theme + planted.offset
        inside += seeds["low"] < twins / (twins + planted.gap) < seeds["high"]
        inside += words["low"] < 1 - planted.likeness < words["high"]
        assert words["units"] == 8
    assert inside >= 17


def test_without_groups_wordings_are_missing_and_said_to_be() -> None:
    result = analysis("sensitivity", simulate(replace(WORDED, group_size=1)).trajectories)
    assert result.table("shares").data["differs"] == ["other seed"]
    assert any("no prompts of one group" in one.why for one in result.not_done)
    assert result.statements[0].replication == "prompts"


@pytest.mark.parametrize("noise_is_shared", [False, True])
def test_an_exponent_is_told_with_its_null_and_the_bound(noise_is_shared: bool) -> None:
    planted = replace(WORDED, tau=40, theme=0.3, offset=0.0, group_size=1, states=60)
    found: TrajectorySet = simulate(planted).trajectories
    if not noise_is_shared:
        found.labels.seed[:] = range(found.n_runs)
    result = analysis("sensitivity", found)
    (test,) = result.tests
    assert test.p > 0.05
    said = next(one for one in result.statements if one.subject.startswith("exponent"))
    assert "No evidence of exponential divergence" in said.sentence
    assert "the space is bounded" in said.sentence
