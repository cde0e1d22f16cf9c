"""What an analysis declares for the report holds of what it really finds."""

import math
from pathlib import Path

import pytest

from panic_hpc import installed
from panic_hpc.analysis import AnalysisRequest, AnalysisResult, Statement, analyse
from panic_hpc.analysis.answering import about, greatest, in_networks, overall
from panic_hpc.analysis.simulation.dataset import write_dataset
from panic_hpc.analysis.simulation.planted import Planted
from panic_hpc.report.figures.drawing import draw

TOLD = AnalysisResult(
    [
        Statement("", "Three of them", 3.0),
        Statement("", "A third of all", 0.3, 0.2, 0.4),
        Statement("a", "It is here", 1.0, 0.9, 1.1),
        Statement("b", "It is there", 2.0, -5.0, 9.0),
        Statement("c", "It is nowhere"),
    ]
)


def sentence(found: Statement | None) -> str:
    assert found is not None
    assert found.subject == ""
    return found.sentence


def test_the_usual_answers_choose_one_statement() -> None:
    assert sentence(overall(TOLD)) == "A third of all"
    assert sentence(about("z", "b")(TOLD)) == "It is there"
    assert sentence(greatest(TOLD)) == "Three of them"
    assert sentence(overall(AnalysisResult(TOLD.statements[3:4]))) == "It is there"
    for answer in (overall, about("a"), greatest):
        assert answer(AnalysisResult()) is None


def test_networks_are_counted_and_one_alone_speaks_for_itself() -> None:
    answer = in_networks("it is here", lambda one: one.low > 0, "numbers", ".1f", begins="It is")
    counted = answer(TOLD)
    assert sentence(counted) == "In 1 of 2 networks it is here; numbers from 1.0 to 2.0"
    assert counted is not None
    assert (counted.value, counted.n, counted.replication) == (0.5, 2, "networks")
    assert sentence(answer(AnalysisResult(TOLD.statements[3:]))) == "It is there"
    several = answer(AnalysisResult(TOLD.statements[3:], n_units={"networks": 4}))
    assert sentence(several) == "It can be told of one network alone, b: It is there"
    assert several is not None
    assert math.isnan(several.low)
    assert answer(AnalysisResult()) is None


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("answered") / "S.h5"
    write_dataset(Planted(prompts=8, networks=4, runs=2, states=40, dimensions=16, tau=8), path)
    return path


def test_answers_and_figures_of_every_analysis_fit_what_it_finds(dataset: Path) -> None:
    for record in analyse(dataset, AnalysisRequest(workers=1)):
        plugin = installed.plugin("analyses", record.analysis)
        answer = plugin.answer(record.result)
        assert answer is None or answer.subject == ""
        tables = {table.name: table for table in record.result.tables}
        for spec in plugin.figures if tables else ():
            assert draw(spec, tables[spec.table]).png, (record.analysis, spec.name)
