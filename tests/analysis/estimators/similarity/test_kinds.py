"""Pairs of runs by kind: all of one kind, many runs in them, intervals over whole prompts."""

import numpy as np

from panic_hpc.analysis.estimators.similarity.kinds import KINDS, Pairs, pairs_by_kind

NETWORK, PROMPT = (axis.ravel() for axis in np.mgrid[0:3, 0:12, 0:2][:2])


def test_pairs_share_what_their_kind_says_and_are_of_many_runs() -> None:
    found = pairs_by_kind(NETWORK, PROMPT, most=40)
    assert [one.kind for one in found] == list(KINDS)
    for one, (same_network, same_prompt) in zip(
        found, ((True, True), (False, True), (True, False), (False, False)), strict=True
    ):
        assert (one.first != one.second).all()
        assert ((NETWORK[one.first] == NETWORK[one.second]) == same_network).all()
        assert ((PROMPT[one.first] == PROMPT[one.second]) == same_prompt).all()
        assert len(np.unique([one.first, one.second])) > 35
        assert len({(a, b) for a, b in zip(one.first, one.second, strict=True)}) == len(one.first)


def test_pairs_of_all_kinds_differ_in_seeds_that_prompts_share() -> None:
    seeds = np.arange(len(NETWORK)) % 2
    for one in pairs_by_kind(NETWORK, PROMPT, 40, noise=seeds):
        assert (seeds[one.first] != seeds[one.second]).all()


def test_kinds_that_the_runs_do_not_have_are_left_out() -> None:
    assert [one.kind for one in pairs_by_kind([0, 0], [0, 0], 5)] == ["twins"]
    assert pairs_by_kind([0], [0], 5) == []


def test_intervals_hold_the_mean_over_all_prompts_at_their_nominal_rate() -> None:
    """Distances that depend on both prompts of a pair, so that pairs are not independent."""
    rng = np.random.default_rng(1)
    pairs = next(one for one in pairs_by_kind(NETWORK, PROMPT, 300) if one.kind == KINDS[3])
    held = naive = 0
    for _ in range(300):
        of_prompt = rng.normal(size=12)
        values = 1 + of_prompt[pairs.prompts[0]] + of_prompt[pairs.prompts[1]]
        values += 0.5 * rng.normal(size=len(values))
        mean, low, high = pairs.mean(values, 0.95)
        held += low <= 1 <= high
        naive += abs(mean - 1) < 2 * values.std() / np.sqrt(len(values))
    assert held / 300 > 0.9
    assert naive / 300 < 0.6


def test_a_prompt_that_all_pairs_are_of_leaves_no_interval() -> None:
    rows = np.array([0, 1])
    pairs = Pairs("twins", rows, rows + 2, (np.array([0, 0]), np.array([0, 0])))
    mean, low, _ = pairs.mean(np.array([1.0, np.nan]), 0.95)
    assert mean == 1
    assert np.isnan(low)
