"""The form of toy_sd_genetics: read and written without loss, and nothing dropped in silence."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from panic_hpc.cli.series import verbs
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.evolution.genome import read_population
from panic_hpc.evolution.seed_files import DEEPEST, read_seed_file, seed_form

FILE = Path(__file__).parent / "seed_form.json"
FIRST, SECOND, THIRD = (f"5a0e0f0c-0000-4000-8000-00000000000{k}" for k in (1, 2, 3))


def test_individuals_copies_and_parents_are_read() -> None:
    population = read_seed_file(FILE)
    loci = {one.name: one.loci for one in population.chromosomes}
    assert loci == {
        "SizeChromo": ("tall", "wide"),
        "FeatureChromo11": ("3d",),
        "FeatureChromoAB": ("ant", "apple_(red)", "blue_hat"),
    }
    founder, child = population.individuals
    assert (founder.id, founder.n_copies, founder.parents) == (FIRST, 1, ())
    assert (child.n_copies, [one.id for one in child.parents]) == (2, [FIRST, THIRD])
    assert child.copies["FeatureChromoAB"] == (("ant",), ("blue_hat",))
    assert child.copies["SizeChromo"] == (("tall", "wide"), ())


def test_what_is_read_is_written_as_it_was_but_for_empty_chromosomes() -> None:
    population = read_seed_file(FILE)
    known = {THIRD: [FIRST]}
    found = seed_form(population.individuals, population.chromosomes, known)
    wanted = json.loads(FILE.read_text())
    for one in wanted:
        one["chromosomes"] = [
            {"type": own["type"], "genes": [sorted(copy) for copy in own["genes"]]}
            for own in one["chromosomes"]
            if own["type"] != "FeatureChromoYZ"
        ]
    assert found == wanted


def test_the_ancestry_that_is_written_ends() -> None:
    known = {"a": ["a", "a"]}
    population = read_seed_file(FILE)
    parent = population.individuals[1].parents[0].model_copy(update={"id": "a"})
    child = population.individuals[1].model_copy(update={"parents": (parent,)})
    depth, entry = 0, seed_form([child], population.chromosomes, known)[0]["parentage"]
    while entry:
        depth, entry = depth + 1, entry[0][1]
    assert depth == DEEPEST


def test_a_vocabulary_by_letter_has_what_nobody_has_yet(tmp_path: Path) -> None:
    words = tmp_path / "tags.txt"
    words.write_text("zebra\nant\napple_(red)\nbaker\n3d\n\n")
    with pytest.raises(ConfigError, match="no loci of this chromosome: 'blue_hat'"):
        read_seed_file(FILE, words)
    words.write_text("zebra\nant\napple_(red)\nblue_hat\n3d\n\n")
    found = {one.name: one.loci for one in read_seed_file(FILE, words).chromosomes}
    assert found["FeatureChromoYZ"] == ("zebra",)
    assert found["SizeChromo"] == ("tall", "wide")
    table = tmp_path / "loci.json"
    loci = {
        "SizeChromo": ["wide", "tall"],
        "FeatureChromo11": ["3d", "4k"],
        "FeatureChromoAB": ["blue_hat", "ant", "apple_(red)"],
        "FeatureChromoYZ": ["zoo"],
    }
    table.write_text(json.dumps(loci))
    population = read_seed_file(FILE, table)
    assert {one.name: list(one.loci) for one in population.chromosomes} == loci
    words.write_text("ant\nquiz\n")
    with pytest.raises(ConfigError, match="no chromosome for 'quiz'"):
        read_seed_file(FILE, words)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "a list of individuals was expected"),
        ('[{"name": "a", "chromosomes": []}]', r"\[0\]: parentage is missing"),
        ("nonsense", "cannot be read as JSON"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "gen.json").write_text(text)
    with pytest.raises(PanicError, match=told):
        read_seed_file(tmp_path / "gen.json")


def test_the_verb_writes_a_population_that_is_read(tmp_path: Path) -> None:
    output = tmp_path / "founders.json"
    done = CliRunner().invoke(verbs(), ["import", str(FILE), str(output)])
    assert done.exit_code == 0, done.output
    assert "2 individuals, 3 chromosomes, 6 loci" in done.output.replace("\n", " ")
    assert read_population(output) == read_seed_file(FILE)
