"""Bradley-Terry: planted strengths are found, intervals cover, and what cannot be known is said."""

from typing import NamedTuple

import numpy as np
import pytest

from panic_hpc.analysis.estimators.bradley_terry import (
    Strengths,
    bradley_terry,
    fitted,
    shares,
)

PLANTED = np.array([0.8, 0.0, -0.3, -0.5])


class Drawn(NamedTuple):
    one: np.ndarray
    other: np.ndarray
    outcomes: np.ndarray
    prompts: np.ndarray
    voters: np.ndarray


def drawn(
    rng: np.random.Generator, n_prompts: int, n_voters: int, of_prompt: float, of_voter: float
) -> Drawn:
    """Return a comparison of each prompt and voter; both have tastes of their own."""
    k = len(PLANTED)
    tastes = rng.normal(0, of_prompt, (n_prompts, k)), rng.normal(0, of_voter, (n_voters, k))
    prompts = np.repeat(np.arange(n_prompts), n_voters)
    voters = np.tile(np.arange(n_voters), n_prompts)
    one = rng.integers(0, k, len(prompts))
    other = (one + rng.integers(1, k, len(prompts))) % k
    liking = PLANTED + tastes[0][prompts] + tastes[1][voters]
    rows = np.arange(len(prompts))
    odds = liking[rows, one] - liking[rows, other]
    outcomes = (rng.random(len(prompts)) < 1 / (1 + np.exp(-odds))).astype(float)
    outcomes[rng.random(len(prompts)) < 0.1] = 0.5
    return Drawn(one, other, outcomes, prompts, voters)


def judged(found: Drawn, **settings: int) -> Strengths:
    prompts, voters = found.prompts.tolist(), found.voters.tolist()
    return bradley_terry(*found[:3], prompts, voters, n_arms=len(PLANTED), **settings)


def true_shares(of_prompt: float, of_voter: float) -> np.ndarray:
    """Return what an experiment without end would find: tastes pull shares towards a half."""
    found = drawn(np.random.default_rng(0), 2_000, 100, of_prompt, of_voter)
    wins = np.zeros((len(PLANTED), len(PLANTED)))
    np.add.at(wins, (found.one, found.other), found.outcomes)
    np.add.at(wins, (found.other, found.one), 1 - found.outcomes)
    return shares(fitted(wins), np.zeros(len(PLANTED), int))


def test_planted_strengths_are_found() -> None:
    found = judged(drawn(np.random.default_rng(1), 400, 30, 0.0, 0.0), draws=100)
    strengths = [arm.log_odds for arm in found.arms]
    # A tenth are ties, whatever the strengths.
    assert np.allclose(strengths, 0.88 * (PLANTED - PLANTED.mean()), atol=0.1)
    assert [arm.best_rank for arm in found.arms] == [1, 2, 3, 4]


def test_wins_of_two_arms_are_their_share() -> None:
    found = bradley_terry([0] * 20, [1] * 20, [1] * 15 + [0] * 5, range(20), ["v"] * 20, n_arms=2)
    assert found.arms[0].share == pytest.approx(0.75, abs=1e-3)
    assert found.arms[0].log_odds - found.arms[1].log_odds == pytest.approx(np.log(3), abs=1e-2)
    assert found.arms[0].low < 0.75 < found.arms[0].high
    assert found.over == "prompts"
    assert found.why == "they hold for 1 voter alone"


def test_a_tie_is_half_a_preference_each_way() -> None:
    ties = bradley_terry([0] * 8, [1] * 8, [0.5] * 8, range(8), ["v"] * 8, n_arms=2)
    halves = bradley_terry([0] * 8, [1] * 8, [1, 0] * 4, range(8), ["v"] * 8, n_arms=2)
    assert ties.arms[0].share == pytest.approx(halves.arms[0].share)
    assert ties.arms[0].share == pytest.approx(0.5)


def test_who_is_written_first_does_not_matter() -> None:
    found = drawn(np.random.default_rng(2), 12, 6, 0.5, 0.5)
    turned = found._replace(one=found.other, other=found.one, outcomes=1 - found.outcomes)
    assert judged(found, draws=50) == judged(turned, draws=50)


@pytest.mark.parametrize(
    ("n_prompts", "n_voters", "of_prompt", "of_voter"),
    [
        (30, 1, 0.5, 0.0),
        (12, 6, 0.5, 0.5),
        pytest.param(20, 8, 1.0, 0.0, marks=pytest.mark.long),
        pytest.param(8, 8, 0.3, 0.8, marks=pytest.mark.long),
    ],
)
def test_intervals_cover_what_an_experiment_without_end_would_find(
    n_prompts: int, n_voters: int, of_prompt: float, of_voter: float
) -> None:
    truth, rng = true_shares(of_prompt, of_voter), np.random.default_rng(3)
    hits, is_ranked = [], []
    for seed in range(150):
        found = judged(drawn(rng, n_prompts, n_voters, of_prompt, of_voter), draws=200, seed=seed)
        hits += [a.low <= true <= a.high for a, true in zip(found.arms, truth, strict=True)]
        is_ranked += [a.best_rank <= k <= a.worst_rank for k, a in enumerate(found.arms, start=1)]
    assert 0.91 <= np.mean(hits) <= 0.99
    assert np.mean(is_ranked) >= 0.95


def test_votes_taken_as_independent_would_cover_less() -> None:
    """The control: where voters have tastes, single votes as units are too sure of themselves."""
    truth, rng = true_shares(0.0, 1.0), np.random.default_rng(4)
    hits = []
    for seed in range(100):
        found = drawn(rng, 30, 6, 0.0, 1.0)
        apart = found._replace(prompts=np.arange(len(found.one)), voters=np.zeros(len(found.one)))
        arms = judged(apart, draws=200, seed=seed).arms
        hits += [arm.low <= true <= arm.high for arm, true in zip(arms, truth, strict=True)]
    assert np.mean(hits) < 0.85


def test_arms_that_nothing_connects_are_groups_of_their_own() -> None:
    one, other = [0, 0, 0, 2, 2, 2], [1, 1, 1, 3, 3, 3]
    found = bradley_terry(one, other, [1, 1, 0, 0, 0, 1], "abcabc", ["v"] * 6, n_arms=5)
    assert [arm.group for arm in found.arms] == [0, 0, 1, 1, 2]
    assert found.arms[0].share == pytest.approx(2 / 3, abs=0.01)
    assert found.arms[3].share == pytest.approx(2 / 3, abs=0.01)
    assert np.isnan(found.arms[4].share)
    assert found.arms[4].n == 0


def test_an_arm_that_always_wins_is_not_said_to_be_certain() -> None:
    found = bradley_terry([0] * 8, [1] * 8, [1] * 8, range(8), ["v"] * 8, n_arms=2)
    assert (found.unbeaten, found.unbeating) == ((0,), (1,))
    assert found.arms[0].share > 0.99
    # Wilson's bound for eight of eight.
    assert found.arms[0].low == pytest.approx(8 / (8 + 1.96**2), abs=0.01)
    assert found.arms[1].high == pytest.approx(1 - 8 / (8 + 1.96**2), abs=0.01)


def test_too_few_prompts_and_voters_have_no_interval_and_say_why() -> None:
    found = bradley_terry([0, 0], [1, 1], [1, 0], "ab", "vv", n_arms=2)
    assert np.isnan(found.arms[0].low)
    assert found.why == "2 prompts and 1 voter; it needs 4 prompts or voters"
    assert (found.arms[0].best_rank, found.arms[0].worst_rank) == (1, 2)


def test_no_comparison_at_all_is_no_error() -> None:
    found = bradley_terry([], [], [], [], [], n_arms=3)
    assert all(np.isnan(arm.share) for arm in found.arms)
