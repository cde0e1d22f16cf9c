"""A series: its file is checked, a round follows from what is written, and a kill loses nothing."""

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from little_experiment import command_line, run_command, wait_for
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.backends.base import request_for
from panic_hpc.cli.series import verbs
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.evolution.driving import Generation, advance, history, read_plan, start
from panic_hpc.evolution.judging import Waiting
from panic_hpc.evolution.progress import ancestors, diversity, kin_of, summaries
from panic_hpc.evolution.ranking import (
    RunsOfRound,
    arms_of_individuals,
    by_measure,
    by_table,
    runs_of_round,
)
from panic_hpc.evolution.rounds import (
    BRED,
    CONTROL,
    AskedRuns,
    GenerationPaths,
    Ranked,
    asked_of,
    best_first,
    generation_of,
    next_generation,
)
from panic_hpc.evolution.seed_files import read_seed_file
from panic_hpc.evolution.series_file import SeriesPlan, read_series
from panic_hpc.evolution.voting_round import page_of_round
from panic_hpc.models.base import Judged
from panic_hpc.models.families.words import WordCounter
from panic_hpc.paths import shipped_configs
from panic_hpc.types import SCORE, TEXT, ModelSpec
from panic_hpc.voting.folder import import_votes, votes_folder
from panic_hpc.voting.questions import questions_on
from panic_hpc.voting.votes import Preference, VotesFile

BASE: dict[str, Any] = {
    "networks": [["DummyT2I", "DummyI2T"]],
    "seeds": [1],
    "max_length": 2,
    "stages": {"metrics": {"models": ["Luminance"]}},
}
POPULATION: dict[str, Any] = {
    "chromosomes": [
        {"name": "thing", "loci": ["fox", "boat", "moon", "tree"]},
        {"name": "kind", "loci": ["red", "old", "small"]},
        {
            "name": "size",
            "loci": ["more"],
            "settings": {"none": {"DummyT2I.size": 16}, "more": {"DummyT2I.size": 24}},
        },
    ]
}
BREEDING: dict[str, Any] = {
    "size": 5, "parents": 3, "expressions": 2, "mutation_rate": 0.1, "founder_density": 0.4,
}  # fmt: skip
SERIES: dict[str, Any] = {
    "experiment": "base.json",
    "population": "population.json",
    "measure": "Luminance.mean",
    "rounds": 3,
    "seed": 5,
    "breeding": BREEDING,
}
INLINE = request_for("local", executor="inline")


def written(
    folder: Path, *, base: Any = BASE, population: Any = POPULATION, **changes: Any
) -> Path:
    for name, value in (("base", base), ("population", population)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    table = {key: one for key, one in {**SERIES, **changes}.items() if one is not None}
    (folder / "series.json").write_text(json.dumps(table))
    return folder / "series.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series that ran to its end undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    plan = read_series(written(folder))
    start(folder / "S", plan)
    advance(folder / "S", plan, INLINE)
    return folder / "S"


def typed(*words: str | Path) -> str:
    """Return what a verb of `panic-hpc series` prints."""
    done = CliRunner().invoke(verbs(), list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def contents(root: Path) -> list[Any]:
    """Return everything that a series says of itself: populations, ranks, content keys."""
    keys = [panic_hpc.open(path).content_key for path in sorted(root.glob("rounds/*/dataset.h5"))]
    return [*keys, *(path.read_text() for path in sorted(root.glob("rounds/*.json")))]


def test_a_killed_driver_goes_on_to_the_same_end(tmp_path: Path, whole: Path) -> None:
    root = tmp_path / "S"
    run_command("series", "start", written(tmp_path), root)
    command = command_line("series", "advance", root, "--executor", "inline", "--json")
    for sign in ("000/shards/runs", "001.population.json"):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
            wait_for((root / "rounds" / sign).exists, sign)
            driver.send_signal(signal.SIGKILL)
    plan = read_plan(root)
    advance(root, plan, INLINE)
    assert contents(root) == contents(whole)
    # A file that was deleted is made again as it was: it follows from those before it.
    for name in ("002.population.json", "002.control.json", "002.experiment.json"):
        (root / "rounds" / name).unlink()
    (root / "rounds" / "002.ranking.json").unlink()
    advance(root, plan, INLINE)
    assert contents(root) == contents(whole)


def test_rounds_are_told_beside_the_control(whole: Path) -> None:
    told = json.loads(typed("show", whole, "--json"))["rounds"]
    assert [one["number"] for one in told] == [0, 1, 2]
    assert told[0]["mean"] == told[0]["control"]
    for one in told:
        assert one["best"] >= one["mean"]
        assert one["n_individuals"] == 5
        assert one["n_failed"] == 0
    shown = typed("show", whole)
    assert told[2]["best_id"] in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if "says" not in line)


def test_values_are_those_of_the_datasets_runs(whole: Path) -> None:
    """What is ranked is what anybody reads out of the round's dataset by hand."""
    plan = read_plan(whole)
    found = history(whole, plan)[2]
    assert found.ranking is not None
    asked = asked_of(
        plan, {one.id: one for own in found.people.values() for one in own}.values(), 2
    )
    with panic_hpc.open(whole / "rounds" / "002" / "dataset.h5") as dataset:
        texts, names = dataset.prompt_texts(), dataset.networks()["key"].to_list()
        runs, scores = dataset.runs(), dataset.scores("Luminance")
        by_run = {run: scores.filter(scores["run"] == run)["mean"].mean()
                  for run in range(dataset.n_runs)}  # fmt: skip
        manifest = panic_hpc.open_workspace(whole / "rounds" / "002").manifest
        for one in found.ranking.bred:
            values = []
            for cell, prompt in filter(None, asked.places[one.id]):
                network = names.index(manifest.networks[cell].key)
                rows = runs.filter(
                    (runs["network"] == network)
                    & (runs["prompt"] == texts.index(asked.prompts[prompt]))
                )["run"].to_list()
                values.append(np.mean([by_run[row] for row in rows]))
            assert one.value == pytest.approx(np.mean(values)), one.id


def test_networks_of_settings_run_their_own_prompts_alone(tmp_path: Path) -> None:
    plan = read_series(written(tmp_path))
    people = plan.population.individuals
    asked = asked_of(plan, people, 0)
    assert [dict(cell) for cell in asked.cells] == [{"DummyT2I.size": 24}, {"DummyT2I.size": 16}]
    table = generation_of(plan, asked, 0)
    (tmp_path / "round.json").write_text(json.dumps(table))
    manifest = panic_hpc.preview(tmp_path / "round.json")
    wanted = {place for places in asked.places.values() for place in filter(None, places)}
    assert {(run.network, run.prompt) for run in manifest.runs()} == wanted
    sizes = [network.models[0].settings["size"] for network in manifest.networks]
    assert sizes == [24, 16]


def test_what_individuals_share_is_run_once_and_counts_for_each(tmp_path: Path) -> None:
    twins = [
        {"id": name, "copies": {"thing": [["fox"]], "kind": [["red"]], "size": [[]]}}
        for name in ("Ada", "Bo")
    ]
    plan = read_series(written(tmp_path, population={**POPULATION, "individuals": twins},
                               breeding={**BREEDING, "parents": 2}))  # fmt: skip
    asked = asked_of(plan, plan.population.individuals, 0)
    assert asked.prompts == ("fox, red",)
    assert asked.places == {"Ada": ((0, 0), (0, 0)), "Bo": ((0, 0), (0, 0))}


def test_failed_runs_are_counted_and_no_value_is_guessed() -> None:
    asked = AskedRuns(
        ("a", "b", "c"), ({},),
        {"good": ((0, 0), (0, 1)), "half": ((0, 1), (0, 2)), "bad": ((0, 2), None),
         "mute": (None,)},
    )  # fmt: skip
    runs = RunsOfRound(
        {(0, 0): [0, 1], (0, 1): [2, 3], (0, 2): [4, 5]},
        np.array([False, False, False, False, True, True]),
    )
    measured = np.array([1.0, 3.0, 4.0, np.nan, 9.0, 9.0])
    found = {one.id: one for one in by_measure(asked, runs, measured, [measured * 2])}
    assert found["good"] == Ranked("good", 3.0, 4, 1, 0, (6.0,))
    assert found["half"] == Ranked("half", 4.0, 4, 3, 0, (8.0,))
    assert found["bad"] == Ranked("bad", None, 2, 2, 1, (None,))
    assert found["mute"] == Ranked("mute", None, 0, 0, 1, (None,))
    order = [one.id for one in best_first(found.values(), maximise=True)]
    assert order == ["half", "good", "bad", "mute"]
    assert [one.id for one in best_first(found.values(), maximise=False)][:2] == ["good", "half"]


def test_a_series_by_table_waits_for_it_and_takes_ties(tmp_path: Path) -> None:
    plan = read_series(written(tmp_path, measure=None, rank="file", rounds=2, control=False))
    start(tmp_path / "S", plan)
    with pytest.raises(Waiting, match="waits for its table"):
        advance(tmp_path / "S", plan, INLINE)
    table = GenerationPaths(tmp_path / "S", 0).table
    table.write_text("individual,rank\nfounder-003,1\nfounder-001,2\nfounder-000,2\n")
    with pytest.raises(Waiting, match="Round 2"):
        advance(tmp_path / "S", plan, INLINE)
    first = history(tmp_path / "S", plan)[0].ranking
    assert first is not None
    assert [one.id for one in first.bred] == [f"founder-00{k}" for k in (3, 0, 1, 2, 4)]
    assert [one.value for one in first.bred] == [1.0, 2.0, 2.0, None, None]
    ranked = list(first.bred)
    table.write_text("individual,rank\nfounder-009,1\nfounder-001,x\nfounder-001,2\n")
    with pytest.raises(ConfigError) as caught:
        by_table(ranked, table)
    for part in ("no individual 'founder-009'", "founder-001 is there twice", "rank 'x'"):
        assert part in str(caught.value)


def test_another_series_in_the_same_place_is_refused_but_more_rounds_go_on(
    tmp_path: Path, whole: Path
) -> None:
    plan = read_plan(whole)
    changed = plan.series.model_copy(update={"seed": 6})
    with pytest.raises(PanicError, match="holds another series"):
        start(whole, plan.model_copy(update={"series": changed}))
    with pytest.raises(PanicError, match="holds no series"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rounds": 0}, "rounds = 0: at least 1 was expected"),
        ({"breeding": {"parents": 1}}, "breeding.parents = 1: at least 2 were expected"),
        ({"breeding": {"parents": 2, "parents_per_child": 3}}, "at least 3 were expected"),
        ({"breeding": {"size": 4, "elite": 5}}, "breeding.elite = 5: at most size, 4"),
        ({"breeding": {"template": "x"}}, "{} was expected in it, once"),
        ({"breeding": {"selection": "roulette"}}, "'reciprocal', 'softmax' or 'random'"),
        ({"breeding": {"sizes": 4}}, "Did you mean 'size'"),
        ({"measure": "kid.DummyVision"}, "one of runs alone was expected"),
        ({"measure": None}, "a measure goes with"),
        ({"rank": "votes"}, "a measure goes with"),
        ({"base": {**BASE, "prompts": ["a"]}}, "it has prompts, and prompts are bred here"),
        ({"base": {**BASE, "networks": []}}, "one network was expected"),
        ({"archive": {"descriptors": {"steps": [2.0, 1.0]}}}, "ascending order"),
        (
            {"population": {"chromosomes": [{"name": "c", "loci": ["a"], "settings": {
                "none": {"DummyT2J.size": 1}, "a": {"DummyT2J.size": 2}}}]}},
            "Did you mean 'DummyT2I'",
        ),
        (
            {"population": {**POPULATION, "individuals": [
                {"id": "r1-000", "copies": {"thing": [[]], "kind": [[]], "size": [[]]}}]}},
            "names such as r1-000 and c1-000 are children's",
        ),
    ],
)  # fmt: skip
def test_a_file_with_mistakes_is_told_them(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_series(written(tmp_path, **changes))
    assert told in str(caught.value)


def test_a_measure_that_the_experiment_does_not_give_is_told_before_it_runs(
    tmp_path: Path,
) -> None:
    plan = read_series(written(tmp_path, measure="Luminanse.mean"))
    with pytest.raises(ConfigError, match="Did you mean 'Luminance'"):
        start(tmp_path / "S", plan)
    # What lay there would be another series than the mended one.
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_an_edited_experiment_is_not_taken_for_what_was_said(tmp_path: Path) -> None:
    plan = read_series(written(tmp_path))
    start(tmp_path / "S", plan)
    file = GenerationPaths(tmp_path / "S", 0).file
    table = json.loads(file.read_text())
    file.write_text(json.dumps({**table, "prompts": table["prompts"][::-1]}))
    with pytest.raises(PanicError, match="does not follow from its population"):
        advance(tmp_path / "S", plan, INLINE)


def test_the_shipped_series_is_one_whose_first_round_can_be_planned(tmp_path: Path) -> None:
    plan = read_series(shipped_configs() / "series" / "red.toml")
    start(tmp_path / "S", plan)
    assert (tmp_path / "S" / "rounds" / "000.experiment.json").exists()


WANTED = tuple(f"w{k}" for k in range(12))
PURE: dict[str, Any] = {
    "chromosomes": [
        {"name": f"c{k}", "loci": [word for word in WANTED[k::3]] + [f"x{k}{j}" for j in range(4)]}
        for k in range(3)
    ]
}


def climbed(plan: SeriesPlan, arm: str) -> float:
    """Return the mean share of wanted words in the last round, by the metric of words itself."""
    metric = WordCounter(ModelSpec("W", "words", TEXT, SCORE, "", "", "", 1, {"against": "prompt"}))
    people: Sequence[Any] = plan.population.individuals
    before: list[Any] = []
    values: dict[str, float] = {}
    for number in range(plan.series.rounds):
        people = next_generation(plan, arm, before, number) if before else people
        asked = asked_of(plan, people, number)
        kept = [score.values[-1] for score in metric.score(
            [Judged(text, " ".join(WANTED)) for text in asked.prompts])]  # fmt: skip
        values = {
            name: float(np.mean([kept[p] for _, p in filter(None, own)] or [0.0]))
            for name, own in asked.places.items()
        }
        ranked = [Ranked(name, value, 1, 0, 0, ()) for name, value in values.items()]
        before.append((people, best_first(ranked, maximise=True)))
    return float(np.mean(list(values.values())))


def test_the_known_optimum_of_words_is_reached_in_15_rounds_and_not_by_chance(
    tmp_path: Path,
) -> None:
    how = {"size": 32, "parents": 8, "expressions": 4, "mutation_rate": 0.01, "separator": " ",
           "crossover_rate": 0.2, "elite": 2, "temperature": 4.0}  # fmt: skip
    plan = read_series(written(tmp_path, population=PURE, rounds=15, breeding=how))
    assert climbed(plan, BRED) >= 0.9
    assert climbed(plan, CONTROL) <= 0.5


def test_diversity_counts_loci_and_the_likeness_of_pairs(tmp_path: Path) -> None:
    people = [
        {"id": name, "copies": {"thing": things, "kind": kinds, "size": [[], []]}}
        for name, things, kinds in (
            ("Ada", [["fox"], ["boat"]], [["red"], []]),
            ("Bo", [["fox"], ["fox"]], [[], []]),
        )
    ]
    plan = read_series(written(tmp_path, population={**POPULATION, "individuals": people},
                               breeding={**BREEDING, "parents": 2}))  # fmt: skip
    n_loci, likeness = diversity(plan.population.individuals, plan.population.chromosomes)
    assert n_loci == 3
    assert likeness == pytest.approx(1 / 3)


def test_ancestors_are_those_that_populations_name(whole: Path) -> None:
    plan = read_plan(whole)
    rounds = history(whole, plan)
    kin = kin_of(rounds)
    child = rounds[2].people[BRED][0]
    by_id = {one.id: one for found in rounds for one in found.people[BRED]}
    wanted, generation = {child.id}, [child]
    for _ in range(2):
        names = {parent.id for one in generation for parent in one.parents}
        generation = [by_id[name] for name in names]
        wanted |= names
    assert ancestors(kin, child.id) == wanted
    assert {kin[name].born for name in wanted} == {0, 1, 2}


def test_a_round_that_is_not_ranked_is_no_row(whole: Path) -> None:
    plan = read_plan(whole)
    rounds = history(whole, plan)
    cut = [*rounds[:2], Generation(2, rounds[2].people, None)]
    assert len(summaries(cut, plan.population.chromosomes)) == 2


def test_founders_are_what_the_captions_of_another_experiment_say(
    tmp_path: Path, whole: Path
) -> None:
    file = written(tmp_path, breeding={**BREEDING, "parents": 2})
    typed("start", file, tmp_path / "S", "--from-captions", whole / "rounds" / "000")
    with panic_hpc.open(whole / "rounds" / "000" / "dataset.h5") as dataset:
        texts = {text for run in range(dataset.n_runs) for text in dataset.texts(run).values()}
    founders = read_plan(tmp_path / "S").population.individuals
    assert founders
    for one in founders:
        said = [locus for copy in one.copies["thing"] for locus in copy]
        assert one.n_copies == 1
        assert any(all(locus in text.split() for locus in said) for text in texts)


def test_votes_on_individuals_rank_them(tmp_path: Path) -> None:
    """Three voters prefer the same two individuals to all others, on the page's own questions."""
    plan = read_series(written(tmp_path, measure=None, rank="votes", rounds=1))
    root = tmp_path / "S"
    start(root, plan)
    with pytest.raises(Waiting, match="waits for votes"):
        advance(root, plan, INLINE)
    dataset, page = page_of_round(root, plan, 200, "Which?")
    assert b"Which?" in page
    liked = ["founder-002", "founder-004"]
    asked = asked_of(plan, plan.population.individuals, 0)
    with panic_hpc.open(dataset) as opened:
        manifest = panic_hpc.open_workspace(dataset.parent).manifest
        runs = runs_of_round(manifest, opened)
        arms = arms_of_individuals(opened, asked, runs, list(asked.places))
        owner = {row: arm.name for arm in arms for row in arm.rows.values()}
        votes = []
        for question in questions_on([arm for arm in arms if arm.rows], 200):
            one, other = question.outputs
            better = owner[one.row] in liked, owner[other.row] in liked
            said = {(True, False): "one", (False, True): "other"}.get(better, "neither")
            votes += [
                Preference(voter=voter, at=1.0, one=one.of, other=other.of, better=said)  # type: ignore[arg-type]
                for voter in ("Ada", "Bo", "Cy")
            ]
        sent = VotesFile(
            format="panic_hpc votes 1", content_key=opened.content_key, votes=tuple(votes)
        )
    import_votes(votes_folder(dataset), sent)
    (found,) = advance(root, plan, INLINE)
    assert found.ranking is not None
    owners = set(owner.values())
    best = [one.id for one in found.ranking.bred if one.id in owners][:2]
    assert set(best) == {name for name in liked if name in owners}


def test_a_page_and_a_tree_show_the_series(tmp_path: Path, whole: Path) -> None:
    typed("report", whole, "-o", tmp_path / "R")
    page = (tmp_path / "R" / "index.html").read_text()
    for part in ("figures/progress.png", "best.png", "tree.png", "by softmax selection"):
        assert part in page
    for name in ("figures/progress.csv", "best.png", "tree.png", "rounds.csv"):
        assert (tmp_path / "R" / name).stat().st_size > 0
    typed("tree", whole, "-o", tmp_path / "tree.graphml")
    graph = networkx.read_graphml(tmp_path / "tree.graphml")
    plan = read_plan(whole)
    rounds = history(whole, plan)
    assert rounds[-1].ranking is not None
    assert set(graph.nodes) == ancestors(kin_of(rounds), rounds[-1].ranking.bred[0].id)
    typed("export", whole, tmp_path / "gen.json")
    again = read_seed_file(tmp_path / "gen.json")
    assert [one.id for one in again.individuals] == [one.id for one in rounds[-1].people[BRED]]


def test_parents_are_drawn_from_the_archive_of_all_rounds_where_that_is_asked(
    tmp_path: Path,
) -> None:
    archive = {"descriptors": {"steps": [1.0]}, "parents": True}
    plan = read_series(written(tmp_path, archive=archive))
    people = plan.population.individuals
    first = [Ranked(one.id, float(k), 1, 0, 0, (float(k % 2),)) for k, one in enumerate(people)]
    second = next_generation(plan, BRED, [(people, best_first(first, maximise=True))], 1)
    poor = [Ranked(one.id, -1.0, 1, 0, 0, (0.0,)) for one in second]
    before = [(people, tuple(first)), (second, tuple(poor))]
    third = next_generation(plan, BRED, before, 2)
    # Of either kind the best is a founder of the first round.
    parents = {parent.id for one in third for parent in one.parents}
    assert parents == {"founder-003", "founder-004"}
    control = next_generation(plan, CONTROL, before, 2)
    assert {p.id for one in control for p in one.parents} <= {one.id for one in second}
