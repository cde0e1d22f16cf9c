"""What was planted is what the analyses answer, and where nothing was planted p is uniform."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.metrics import adjusted_rand_score

from panic_hpc.analysis import Planted, TrajectorySet, analysis, simulate
from panic_hpc.analysis.analyses.returning.neighbours import shares_without_each
from panic_hpc.analysis.estimators.similarity.neighbours import (
    local_similarities,
    nearest_neighbours,
)
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.samples import spread_states
from panic_hpc.analysis.trajectory_set import unit_rows

USUAL = Planted(prompts=16, networks=4, runs=3, states=80, dimensions=96, tau=8)


@pytest.fixture(scope="module")
def usual() -> TrajectorySet:
    return simulate(USUAL).trajectories


def test_the_ladder_finds_what_each_part_was_given(usual: TrajectorySet) -> None:
    found = {one.subject: one for one in analysis("ladder", usual).statements}
    # Another generator is another combination with the captioner too.
    for subject, extra in {
        "generator": USUAL.generator + USUAL.interaction,
        "captioner": USUAL.captioner + USUAL.interaction,
        "prompt": USUAL.gap,
    }.items():
        assert found[subject].value == pytest.approx(extra, rel=0.25)
        assert found[subject].low < found[subject].value < found[subject].high
    assert found["prompt"].low < USUAL.gap < found["prompt"].high


def test_components_of_where_runs_lie_are_in_the_order_that_was_planted(
    usual: TrajectorySet,
) -> None:
    found = analysis("components", usual, draws=19)
    table = found.table("components")
    shares = {
        row["term"]: row["omega2"]
        for row in map(table.row, range(len(table)))
        if row["outcome"] == "place"
    }
    assert shares["prompt"] > shares["captioner"] > shares["generator"] > shares["seed"]
    assert shares["prompt"] / shares["captioner"] == pytest.approx(
        USUAL.gap / USUAL.captioner, rel=0.4
    )
    assert abs(shares["seed"]) < 0.02
    assert abs(shares["prompt:network"]) < 0.05
    # Of what is not there an estimate is negative; a sentence with a share below 0 says nothing.
    assert min(row["omega2"] for row in map(table.row, range(len(table)))) < 0
    sentences = [one.sentence for one in found.statements]
    assert any("none that is seen" in one for one in sentences)
    assert not any(re.search(r"-\d+%", one) for one in sentences)


def test_nearest_states_tell_what_was_planted(usual: TrajectorySet) -> None:
    found = analysis("neighbours", usual, draws=99)
    assert {one.subject: one.p for one in found.tests} == {"network": 0.01, "prompt": 0.01}


def test_a_prompt_that_is_left_out_makes_room_for_the_next_neighbour() -> None:
    planted = Planted(prompts=6, networks=2, runs=3, states=20, dimensions=16, gap=0.05)
    trajectories = simulate(planted).trajectories
    sample = spread_states(trajectories, 10_000)
    points = unit_rows(trajectories.vectors[sample.rows])
    local = local_similarities(nearest_neighbours(points, 10, runs=sample.runs))
    prompts = factor("prompt", trajectories.labels.prompt).codes
    found = nearest_neighbours(points, 60, runs=sample.runs, local=local)
    shares = shares_without_each(sample, found, prompts, prompts)
    for prompt in range(-1, 6):
        rest = np.flatnonzero(prompts[sample.runs] != prompt)
        runs = sample.runs[rest]
        anew = nearest_neighbours(points[rest], 1, runs=runs, local=local[rest]).rows[:, 0]
        assert shares[prompt + 1] == pytest.approx(np.mean(prompts[runs[anew]] == prompts[runs]))


@pytest.mark.long
@pytest.mark.parametrize(("gap", "prompts"), [(0.03, 12), (0.08, 12), (0.03, 30)])
def test_the_interval_of_nearest_states_holds_their_mean(gap: float, prompts: int) -> None:
    planted = Planted(prompts=prompts, networks=2, runs=3, states=30, dimensions=32, tau=8, gap=gap)
    found = []
    for seed in range(100):
        drawn = simulate(replace(planted, seed=seed)).trajectories
        said = analysis("neighbours", drawn, draws=19).statements
        found += [one for one in said if "same prompt" in one.sentence]
    mean = np.mean([one.value for one in found])
    held = np.mean([one.low <= mean <= one.high for one in found])
    print(f"coverage with {prompts} prompts, gap {gap}: {held:.2f}")
    assert held >= 0.88


@pytest.mark.long
@pytest.mark.parametrize(("word", "parts"), [
    ("network", {"generator": 0.0, "captioner": 0.0, "interaction": 0.0}),
    ("prompt", {"gap": 0.0}),
])  # fmt: skip
def test_p_values_of_nearest_states_are_uniform_where_a_label_does_not_matter(
    word: str, parts: dict[str, float]
) -> None:
    rng = np.random.default_rng(1)
    p = []
    for seed in range(80):
        planted = Planted(prompts=5, networks=4, runs=3, states=4, dimensions=12, seed=seed)
        found = simulate(replace(planted, **parts, missing=0.1)).trajectories  # type: ignore[arg-type]
        tests = {one.subject: one for one in analysis("neighbours", found, draws=99, k=3).tests}
        p.append(tests[word].p - rng.uniform(0, 0.01))
    assert kstest(p, "uniform").pvalue > 0.01


def test_wells_that_all_runs_share_are_found_as_clusters_with_their_moves() -> None:
    planted = Planted(
        prompts=6, networks=2, runs=3, states=60, dimensions=64, wells=3, depth=0.5, escape=20,
        gap=0.01, theme=0.01, offset=0.01, generator=0.0, captioner=0.0, interaction=0.0,
    )  # fmt: skip
    made = simulate(planted)
    found = analysis("clusters", made.trajectories)
    clusters, moves = found.table("clusters"), found.table("transitions")
    rows = [row for row in map(clusters.row, range(len(clusters))) if row["cluster"] >= 0]
    assert len(rows) == 3
    assert all(row["prompts"] == 6 and row["networks"] == 2 for row in rows)
    wells = [made.wells[row["medoid_run"], row["medoid_state"]] for row in rows]
    assert sorted(wells) == [0, 1, 2]
    stays = found.statements[1].value
    assert stays == pytest.approx(1 - 1 / planted.escape, abs=0.02)
    assert sum(moves.data["moves"]) == made.trajectories.n_runs * (planted.states - 1)
    assert_stays_are_those_planted(made.trajectories, planted)


def assert_stays_are_those_planted(found: TrajectorySet, planted: Planted) -> None:
    """Stays in a well are left after `escape` states in the mean, geometrically."""
    result = analysis("cluster-stays", found)
    table, times = result.table("stays"), result.table("times")
    for row in map(table.row, range(len(table))):
        if row["states"] in (5, 20):
            truth = (1 - 1 / planted.escape) ** row["states"]
            assert row["low"] - 0.05 < truth < row["high"] + 0.05
            assert row["any_order"] < 0.2
    for network in set(times.data["network"]):
        own = [row for row in map(times.row, range(len(times))) if row["network"] == network]
        assert sum(row["share"] for row in own) == pytest.approx(len({r["state"] for r in own}))
    assert all(one.low > 0 for one in result.statements)


def test_ends_of_prompts_are_as_far_apart_as_was_planted(usual: TrajectorySet) -> None:
    table = analysis("convergence", usual).table("prompts_apart")
    rows = list(map(table.row, range(len(table))))
    twins = [row["distance"] for row in rows if row["prompt"] == row["other"]]
    strangers = [row["distance"] for row in rows if row["prompt"] != row["other"]]
    assert len(twins) == 4 * 16
    assert len(strangers) == 4 * 16 * 15
    # Directions of means: what is averaged away, noise and most of the theme, is shared out.
    kept = 1 - USUAL.noise - USUAL.theme
    assert np.mean(strangers) - np.mean(twins) == pytest.approx(USUAL.gap / kept, rel=0.25)
    few = analysis("convergence", usual, most_prompts=5)
    assert len(few.table("prompts_apart")) == 4 * 25
    assert any("5 of 16 prompts" in one.why for one in few.not_done)


def test_strangers_share_regions_where_wells_are_shared() -> None:
    planted = Planted(
        prompts=6, networks=2, runs=3, states=60, dimensions=64, wells=3, depth=0.5, escape=20,
        gap=0.01, theme=0.01, offset=0.01,
    )  # fmt: skip
    shared = analysis("shared-attractors", simulate(planted).trajectories, regions=4, draws=19)
    alone = analysis(
        "shared-attractors", simulate(replace(planted, wells=0, gap=0.4)).trajectories, regions=8,
        draws=19,
    )  # fmt: skip
    assert shared.table("overlaps").row(1)["within"] > 0.4
    assert alone.table("overlaps").row(1)["within"] < 0.2


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_length_is_attracted_as_strongly_as_was_planted(strength: float) -> None:
    rng = np.random.default_rng(2)
    n = 24
    initial = np.arange(n) + 4
    final = np.rint(12 + (1 - strength) * (initial - 12) + rng.normal(size=n)).astype(int)
    labels = {"prompt": ["word " * length for length in initial]}
    texts = [["other " * length] * 3 for length in final]
    found = TrajectorySet.of_array(np.ones((n, 3, 2)), labels, texts=texts.__getitem__)
    table = analysis("attraction", found).table("attraction")
    row = next(row for row in map(table.row, range(len(table))) if row["property"] == "length")
    assert row["low"] < strength < row["high"]
    if strength:
        assert row["position_low"] < 12 < row["position_high"]
        assert row["no_pull_p"] < 0.001


def test_motifs_of_ends_are_found_where_starts_have_none() -> None:
    """Each run begins anywhere and ends in one of three places, by its prompt."""
    rng = np.random.default_rng(3)
    n, d = 45, 12
    place = np.arange(n) % 3
    start = rng.normal(size=(n, d))
    end = 4 * np.eye(d)[place] + 0.4 * rng.normal(size=(n, d))
    share = np.linspace(0, 1, 20)[:, None]
    vectors = start[:, None] * (1 - share) + end[:, None] * share + 3.0
    found = TrajectorySet.of_array(vectors, {"prompt": [f"p{run:02}" for run in range(n)]})
    result = analysis("motifs", found, most=5, references=19)
    clouds = {row["cloud"]: row for row in map(result.table("clouds").row, range(2))}
    assert clouds["ends"]["clusters"] == 3
    assert clouds["first states"]["clusters"] == 1
    members = result.table("members")
    assert adjusted_rand_score(members.data["motif"], place) == 1
    assert sum(members.data["is_medoid"]) == 3


def test_words_of_the_prompt_that_are_left_are_counted_beside_chance() -> None:
    prompts = ["red fox", "green boat", "old lamp", "tall tree"] * 2
    texts = [[prompt, f"a {prompt.split()[0]} thing", "a thing"] for prompt in prompts]
    found = TrajectorySet.of_array(np.ones((8, 3, 2)), {"prompt": prompts}, texts=texts.__getitem__)
    left = analysis("captions", found).table("words_left")
    assert left.data["own"] == [1.0, 0.5, 0.0]
    assert left.data["strangers"] == [0.0, 0.0, 0.0]


def test_a_run_of_few_dimensions_has_these() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.random((5, 400, 3)) @ np.linalg.qr(rng.normal(size=(30, 3)))[0].T + 3.0
    found = TrajectorySet.of_array(vectors, {"prompt": list("abcde")})
    table = analysis("dimension", found).table("network_dimensions")
    # On the sphere the radius is lost: three dimensions that do not contain it stay three.
    assert table.data["within_runs"][0] == pytest.approx(3, rel=0.15)


def test_what_h1_adds_is_told_where_it_adds_nothing(usual: TrajectorySet) -> None:
    found = analysis("h1-adds", usual, most_runs=60, most_states=30)
    table = found.table("h1_adds")
    assert table.row(0)["gain"] < 0.1
    assert "held out" in found.statements[0].sentence
