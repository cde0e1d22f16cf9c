"""Records of a series that somebody edited are told by name, and nobody's value is another's."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from panic_hpc.cli.series import verbs
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.evolution.driving import history, read_plan, start
from panic_hpc.evolution.ranking import by_table
from panic_hpc.evolution.rounds import GenerationPaths, Ranked
from panic_hpc.evolution.series_file import SeriesPlan, read_series

BASE: dict[str, Any] = {"networks": [["DummyT2I"]], "seeds": [1], "max_length": 1}
POPULATION = {"chromosomes": [{"name": "thing", "loci": ["fox", "boat", "moon"]}]}
SERIES: dict[str, Any] = {
    "experiment": "base.json",
    "population": "population.json",
    "measure": "steps",
    "rounds": 2,
    "breeding": {"size": 3, "parents": 2, "founder_density": 1.0},
}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A series that is begun."""
    for name, value in (("base", BASE), ("population", POPULATION), ("series", SERIES)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    start(tmp_path / "S", read_series(tmp_path / "series.json"))
    return tmp_path / "S"


def plan_beside(series: Path) -> SeriesPlan:
    return read_series(series.parent / "series.json")


def ranked(name: str, value: float | None = 1.0) -> dict[str, Any]:
    return {
        "id": name, "value": value, "n_runs": 1, "n_failed": 0, "n_silent": 0, "descriptors": [],
    }  # fmt: skip


def write_ranking(series: Path, bred: list[str], control: list[str]) -> Path:
    record = {
        "content_key": "0" * 32,
        "bred": [*map(ranked, bred)],
        "control": [*map(ranked, control)],
    }
    path = GenerationPaths(series, 0).ranking
    path.write_text(json.dumps(record))
    return path


FOUNDERS = [f"founder-{k:03d}" for k in range(3)]


@pytest.mark.parametrize(
    ("bred", "control"),
    [
        ([], FOUNDERS),
        (FOUNDERS[:2], FOUNDERS),
        ([*FOUNDERS[:2], "nobody"], FOUNDERS),
        ([*FOUNDERS, FOUNDERS[0]], FOUNDERS),
        (FOUNDERS, FOUNDERS[1:]),
    ],
)
def test_a_ranking_of_others_than_the_round_has_is_told(
    series: Path, bred: list[str], control: list[str]
) -> None:
    path = write_ranking(series, bred, control)
    with pytest.raises(PanicError, match="it ranks others than those of its round") as told:
        history(series, read_plan(series))
    assert str(path) in told.value.message
    assert told.value.hint == f"Remove it: panic-hpc series advance {series} makes it again"


def test_a_ranking_of_the_round_is_taken_in_any_order(series: Path) -> None:
    write_ranking(series, FOUNDERS[::-1], FOUNDERS)
    first, *_ = history(series, read_plan(series))
    assert first.ranking is not None
    assert [one.id for one in first.ranking.bred] == FOUNDERS[::-1]


@pytest.mark.parametrize("text", ["null", "[]", '"x"', "{}", '{"series": true}', '{"series": []}'])
def test_a_series_is_begun_over_nothing_else(series: Path, text: str) -> None:
    (series / "series.json").write_text(text)
    with pytest.raises(PanicError, match="holds another series, or its file was changed"):
        start(series, plan_beside(series))
    with pytest.raises(PanicError, match=r"series\.json is not what it should be: ") as told:
        read_plan(series)
    # In words of this package and on one line, not in pydantic's.
    assert "\n" not in told.value.message
    assert "pydantic" not in told.value.message


@pytest.mark.parametrize("rank", ["9" * 5000, "9" * 400, "9" * 10, "0", "-1", "²", "nan", ""])
def test_a_rank_is_a_number_that_a_record_can_hold(tmp_path: Path, rank: str) -> None:
    table = tmp_path / "ranking.csv"
    table.write_text(f"individual,rank\na,{rank}\n")
    with pytest.raises(ConfigError, match="a whole number from 1 was expected"):
        by_table([Ranked("a", None, 1, 0, 0, ())], table)


def test_a_series_without_a_round_exports_none(series: Path) -> None:
    GenerationPaths(series, 0).population("r").unlink()
    done = CliRunner().invoke(verbs(), ["export", str(series), str(series.parent / "out.json")])
    assert isinstance(done.exception, PanicError)
    assert "has no round 0 (0 rounds begun)" in str(done.exception)
