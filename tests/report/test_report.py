"""The report: answers made of what analyses declare, whole files, safe folders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import synthetic

from panic_hpc import installed
from panic_hpc.analysis import (
    Analysis,
    AnalysisResult,
    FigureSpec,
    NotDone,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.base import LEADS
from panic_hpc.analysis.comparing.arms import all_arms
from panic_hpc.analysis.comparing.comparison import compare
from panic_hpc.analysis.records import AnalysisRecord
from panic_hpc.analysis.simulation.dataset import write_dataset
from panic_hpc.analysis.simulation.planted import Planted
from panic_hpc.cli.datasets.report import report_directory
from panic_hpc.errors import PanicError
from panic_hpc.report.figures.drawing import draw
from panic_hpc.report.page.answers import answered
from panic_hpc.report.page.numbers import interval
from panic_hpc.report.writing import ReportRequest, write_report
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.voting.folder import VoteLog, votes_folder
from panic_hpc.voting.votes import vote_of


def analysis(name: str, question: str, **more: object) -> Analysis:
    return Analysis(name, question, "what it tells", lambda found, settings: AnalysisResult(),
                    **more)  # type: ignore[arg-type]  # fmt: skip


def record(name: str, question: str, result: AnalysisResult, error: str = "") -> AnalysisRecord:
    return AnalysisRecord(name, "", question, "what it tells", "k", "c", {}, result, error=error)


def test_every_question_is_answered_or_says_why_not() -> None:
    said = Statement("", "It remembers", 0.25, 0.1, 0.4, 0.9, "bits", 12, "prompts")
    known = {
        "memory": analysis("memory", "How did it get here?"),
        "twins": analysis("twins", "How did it get here?"),
        "stuck": analysis("stuck", "Is it stuck?", answer=lambda found: 1 / 0),
        "again": analysis("again", "Has it done this before?"),
        "never": analysis("never", "Has it done this before?"),
    }
    alone = AnalysisResult(not_done=[NotDone("twins", "one seed")])
    records = [
        record("memory", "How did it get here?", AnalysisResult([said])),
        record("twins", "How did it get here?", alone),
        record("stuck", "Is it stuck?", AnalysisResult([said])),
        record("again", "Has it done this before?", AnalysisResult(), error="ValueError: no"),
        record("odd", "Why?", AnalysisResult([said])),
    ]  # fmt: skip
    first, second, third, fourth, other = answered(records, known)
    assert first.lead is not None
    assert first.lead.statement is said
    assert interval(said) == "0.25 bits (90% interval 0.1 to 0.4), n = 12 prompts"
    assert [one.reason for one in first.reasons] == ["twins: one seed"]
    assert second.lead is None
    assert "ZeroDivisionError" in second.reasons[0].reason
    assert third.reasons[0].reason == "it failed: ValueError: no"
    assert "panic-hpc analyse DATASET never" in third.reasons[1].reason
    assert fourth.answers == []
    assert (other.question, [one.title for one in other.answers]) == ("Why?", ["odd"])


def test_the_answer_that_says_most_leads() -> None:
    """One with an interval before one without, then by the list, whatever their order is."""
    question, total = "What matters most?", "The prompt makes 40%"
    known = {name: analysis(name, question) for name in ("ladder", "mine", "places", "components")}
    bounded = Statement("", total, 0.4, 0.2, 0.6)
    found = {
        "ladder": Statement("", "The prompt takes it farther", 0.2, -0.1, 0.4),
        "mine": bounded,
        "places": Statement("", "The prompt most", 0.4),
        "components": bounded,
    }
    answers = answered(
        [record(name, question, AnalysisResult([one])) for name, one in found.items()], known
    )[3]
    assert answers.lead is not None
    assert answers.lead.analysis == "components"
    assert [one.analysis for one in answers.others] == ["ladder", "mine", "places"]
    del found["components"]
    records = [record(name, question, AnalysisResult([one])) for name, one in found.items()]
    lead = answered(records, known)[3].lead
    assert lead is not None
    assert lead.analysis == "ladder", "places has no interval, and mine is not in the list"


def test_every_analysis_that_leads_is_one_and_answers_that_question() -> None:
    known = installed.plugins("analyses")
    for question, names in LEADS.items():
        assert [known[name].question for name in names] == [question] * len(names)


COLUMNS = (
    Quantity("who", "name", ""),
    Quantity("at", "place", "steps"),
    Quantity("much", "how much"),
    Quantity("low", "lower end"),
    Quantity("high", "upper end"),
)
ROWS = [("$a_$", 0, 1.0, 0.5, 1.5), ("\u202eb", 1, 2.0, None, float("nan")),
        ("c" * 500, 2, None, 0.1, 0.2)]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "x", "y"),
    [
        ("intervals", "who", "much"),
        ("lines", "at", "much"),
        ("steps", "at", "much"),
        ("points", "at", "much"),
        ("distributions", "who", "much"),
        ("bars", "who", "much"),
        ("heatmap", "who", "at"),
    ],
)
def test_every_form_draws_the_same_bytes_and_says_what_it_left_out(
    form: str, x: str, y: str
) -> None:
    table = ResultTable.of_rows("t", "row", COLUMNS, ROWS)
    spec = FigureSpec("f", "t", form, "title", x, y, value="much", series="who", low="low",  # type: ignore[arg-type]
                      high="high", null_low="low", null_high="high", reference=0.0)  # fmt: skip
    first, second = draw(spec, table), draw(spec, table)
    assert first.png == second.png
    assert first.pdf == second.pdf
    assert first.png.startswith(b"\x89PNG")
    assert b"CreationDate" not in first.pdf
    assert first.left_out == 1
    assert len(first.numbers) == 3


def test_a_table_without_a_number_draws_nothing() -> None:
    spec = FigureSpec("f", "t", "lines", "title", "at", "much")
    with pytest.raises(PanicError, match="can be drawn"):
        draw(spec, ResultTable.of_rows("t", "row", COLUMNS, ROWS[2:]))
    with pytest.raises(PanicError, match="no column 'more'"):
        draw(FigureSpec("f", "t", "lines", "", "at", "more"),
             ResultTable.of_rows("t", "row", COLUMNS, ROWS))  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reported") / "S.h5"
    write_dataset(Planted(prompts=4, networks=2, runs=2, states=20, dimensions=8, tau=5), path)
    return path


def found_by_planted(name: str = "planted") -> AnalysisRecord:
    table = ResultTable.of_rows("t", "row", COLUMNS, ROWS)
    return record(name, "Is it stuck?", AnalysisResult([Statement("", "Yes")], [table]))


def write(dataset: Path, directory: Path, **more: object) -> Path:
    spec = FigureSpec("much", "t", "points", "How much", "at", "much")
    known = {"planted": analysis("planted", "Is it stuck?", figures=(spec,))}
    with open_dataset(dataset) as opened:
        request = ReportRequest(**more)  # type: ignore[arg-type]
        return write_report(opened, directory, [found_by_planted()], known, request)


def test_a_report_has_the_files_that_its_page_names(dataset: Path, tmp_path: Path) -> None:
    page = write(dataset, tmp_path / "out")
    text = page.read_text()
    for name in ("figures/planted-much.png", "figures/planted-much.pdf", "tables/planted-t.csv"):
        assert f'"{name}"' in text
        assert (page.parent / name).is_file()
    assert pl.read_csv(page.parent / "figures/planted-much.csv")["much"].to_list() == [1, 2, None]
    record = json.loads((page.parent / "report.json").read_text())
    there = {str(p.relative_to(page.parent)) for p in page.parent.rglob("*") if p.is_file()}
    assert there == {*record["files"], "report.json"}


def test_a_report_replaces_its_own_and_nothing_else(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(dataset, out)
    stale, mine = out / "tables" / "planted-t.csv", out / "notes.txt"
    mine.write_text("mine")
    with open_dataset(dataset) as opened:
        write_report(opened, out, [], {})
    assert not stale.exists()
    assert mine.read_text() == "mine"
    other = tmp_path / "T.h5"
    write_dataset(Planted(prompts=2, networks=1, runs=1, states=5, dimensions=4, seed=3), other)
    with pytest.raises(PanicError, match="would be replaced"):
        write(other, out)
    write(other, out, force=True)


def test_a_record_of_a_stranger_removes_nothing_outside(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(dataset, out)
    (tmp_path / "victim.txt").write_text("mine")
    told = json.loads((out / "report.json").read_text())
    told["files"] += ["../victim.txt", str(tmp_path / "victim.txt"), "."]
    (out / "report.json").write_text(json.dumps(told))
    write(dataset, out)
    assert (tmp_path / "victim.txt").read_text() == "mine"


def test_networks_are_compared_on_a_page_of_their_own(dataset: Path, tmp_path: Path) -> None:
    source = tmp_path / "S.h5"
    os.link(dataset, source)
    with open_dataset(source) as opened:
        arms = all_arms([opened])
        (model,) = opened.embedding_models
        name = f"drift.{model}"
        first, second = compare(arms, arms[0], name).arms
        keys = [key.decode() for key in opened.file.array("runs/key")]
        one, other = ({"run": keys[row], "step": 0} for row in (arms[0].runs[0], arms[1].runs[0]))
    vote = {"kind": "preference", "voter": "Ada", "at": 1.0, "one": one, "other": other}
    with VoteLog(votes_folder(source)) as log:
        log.add(vote_of({**vote, "better": "other"}))
    page = write(source, tmp_path / "out")
    assert '"comparisons.html"' in page.read_text()
    found = pl.read_csv(page.parent / "tables" / f"comparison-{name}.csv")
    assert found["network"].to_list() == [first.name, second.name]
    assert found["mean"].to_list() == pytest.approx([first.mean, second.mean])
    assert second.difference is not None
    assert found["difference"].to_list()[1] == pytest.approx(second.difference.mean)
    # Four prompts are too few, and the page says so.
    assert found["low"].to_list() == [None, None]
    shown = (page.parent / "comparisons.html").read_text()
    assert "4 of the 6 prompts that an interval needs" in shown
    assert "1 comparison, 0 of them for neither, by 1 voter" in shown
    votes = pl.read_csv(page.parent / "tables" / "votes.csv")
    assert votes["network"].to_list() == [second.name, first.name]


def test_one_network_without_votes_is_compared_with_nothing(tmp_path: Path) -> None:
    path = tmp_path / "S.h5"
    write_dataset(Planted(prompts=4, networks=1, runs=2, states=20, dimensions=8, tau=5), path)
    page = write(path, tmp_path / "out")
    assert not (page.parent / "comparisons.html").exists()
    assert "comparisons.html" not in page.read_text()


def test_the_verb_says_what_it_did_not_run(dataset: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "panic_hpc", "report", str(dataset), "--no-analyse", "--json",
               "-o", str(tmp_path / "out")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told == {"report": str(tmp_path / "out" / "index.html"), "analyses": 0, "failed": []}
    page = Path(told["report"]).read_text()
    assert "it was not run; panic-hpc analyse DATASET loops runs it" in page


def test_a_report_lies_in_its_experiment_or_beside_its_dataset(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset.h5"
    assert report_directory(dataset) == tmp_path / "dataset.report"
    (tmp_path / "manifest.json").touch()
    assert report_directory(dataset) == tmp_path / "report"
    assert report_directory(tmp_path / "other.h5") == tmp_path / "other.report"


def test_pictures_that_cannot_be_read_are_counted_and_left_out(tmp_path: Path) -> None:
    experiment = synthetic.Experiment(tmp_path / "shards")
    synthetic.merged(tmp_path / "D.h5", (experiment, synthetic.write(experiment, [12])))
    with open_dataset(tmp_path / "D.h5") as dataset:
        n_pictures = sum(len(dataset.image_steps(run)) for run in range(dataset.n_runs))
        page = write_report(dataset, tmp_path / "out", [], {})
    assert (
        f"{n_pictures} pictures could not be read." in page.with_name("explorer.html").read_text()
    )
    assert "contact_sheet: " in page.read_text()
