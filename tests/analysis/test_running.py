"""`panic-hpc analyse`: lists, runs, caches, writes and corrects; a failure costs only itself."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import documents
import numpy as np
import polars as pl
import pytest

from panic_hpc.analysis import AnalysisRequest, HypothesisTest, Planted, TrajectorySet, analyse
from panic_hpc.analysis.records import csv_bytes, folder_of, read_records
from panic_hpc.analysis.results import Quantity, ResultTable, q_values, table_of_tests
from panic_hpc.analysis.running import available
from panic_hpc.analysis.settings import parse_settings
from panic_hpc.analysis.simulation.dataset import write_dataset
from panic_hpc.cli.datasets.analyse import print_answers
from panic_hpc.errors import ConfigError, PanicError

SCRIPT = """
from panic_hpc.analysis import *

def count(found, settings):
    if settings.seed == 13:
        raise ValueError("thirteen")
    columns = (Quantity("run", "row of the run", ""), Quantity("states", "its states", "states"))
    table = ResultTable.of_rows("lengths", "run", columns, enumerate(found.lengths.tolist()))
    test = HypothesisTest("lengths", "all", "no states", 1.0, 0.02, found.n_runs, "runs", 99)
    said = Statement("", f"{found.lengths.sum()} states", float(found.lengths.sum()))
    return AnalysisResult([said], [table], [test], [NotDone("more", "nobody asked")])

PLUGINS = (Analysis("count", "How many?", "how many states there are", count),)
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analysed") / "S.h5"
    write_dataset(Planted(prompts=5, networks=2, runs=2, states=30, dimensions=16, tau=5), path)
    return path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SCRIPT)
    return path


def panic_hpc(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "panic_hpc", *map(str, arguments)]
    environ = os.environ | {"COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_a_script_of_ones_own_is_run_cached_and_written(
    dataset: Path, script: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = panic_hpc("analyse", dataset, "--script", script, "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["statements"][0]["value"] == 600
    assert record["not_done"] == [{"what": "more", "why": "nobody asked"}]
    assert record["versions"]["numpy"] == np.__version__
    folder = out / "count" / "SimulatedText"
    assert pl.read_parquet(folder / "lengths.parquet")["states"].to_list() == [30] * 20
    assert pl.read_csv(folder / "lengths.csv")["states"].to_list() == [30] * 20
    tests = pl.read_csv(out / "tests.csv")
    assert tests.select("family", "n", "p", "q").rows() == [("lengths", 20, 0.02, 0.02)]
    again = panic_hpc("analyse", dataset, "--script", script, "-o", out)
    assert "from before" in again.stdout


def test_the_documents_example_is_a_script(dataset: Path, tmp_path: Path) -> None:
    documents.write_files("analyses.md", tmp_path)
    request = AnalysisRequest(script=tmp_path / "longest.py", directory=tmp_path / "out")
    (record,) = analyse(dataset, request)
    assert record.result.statements[0].sentence == "The longest run has 30 states"


def test_units_and_meanings_travel_with_the_tables(
    dataset: Path, script: Path, tmp_path: Path
) -> None:
    analyse(dataset, AnalysisRequest(script=script, directory=tmp_path))
    path = tmp_path / "count" / "SimulatedText" / "lengths.parquet"
    assert pl.read_parquet_metadata(path)["unit:states"] == "states"


def test_another_setting_lies_beside_and_a_changed_script_is_run_again(
    dataset: Path, script: Path, tmp_path: Path
) -> None:
    usual = AnalysisRequest(script=script, directory=tmp_path)
    (first,) = analyse(dataset, usual)
    seeded = AnalysisRequest(script=script, directory=tmp_path, settings={"count": {"seed": 7}})
    (other,) = analyse(dataset, seeded)
    assert other.folder != first.folder
    assert analyse(dataset, usual)[0].is_cached
    script.write_text(SCRIPT.replace("nobody asked", "somebody asked"))
    (again,) = analyse(dataset, usual)
    assert not again.is_cached
    assert again.result.not_done[0].why == "somebody asked"


def test_the_table_of_tests_has_one_record_an_analysis_and_model(
    dataset: Path, script: Path, tmp_path: Path
) -> None:
    usual = AnalysisRequest(script=script, directory=tmp_path)
    others = [
        AnalysisRequest(script=script, directory=tmp_path, settings={"count": {"seed": seed}})
        for seed in (7, 8)
    ]

    def rows_after(*requests: AnalysisRequest) -> list[tuple[object, ...]]:
        for request in requests:
            analyse(dataset, request)
        return pl.read_csv(tmp_path / "tests.csv").select("statistic", "q").rows()

    script.write_text(SCRIPT.replace('no states", 1.0', 'no states", float(settings.seed)'))
    assert rows_after(usual) == [(0.0, 0.02)]
    assert rows_after(*others) == [(8.0, 0.02)]
    assert rows_after(AnalysisRequest(("loops",), directory=tmp_path)) == [(0.0, 0.02)]


def test_an_analysis_that_fails_is_told_and_not_cached(
    dataset: Path, script: Path, tmp_path: Path
) -> None:
    request = ("--script", script, "-o", tmp_path / "out", "--set", "count.seed=13")
    done = panic_hpc("analyse", dataset, "count", "loops", *request)
    assert done.returncode == 1
    assert "ValueError: thirteen" in done.stderr
    assert "loops" in done.stdout
    again = panic_hpc("analyse", dataset, "count", *request)
    assert "ValueError: thirteen" in again.stderr


def test_results_read_back_are_those_that_were_found(
    dataset: Path, script: Path, tmp_path: Path
) -> None:
    (made,) = analyse(dataset, AnalysisRequest(script=script, directory=tmp_path))
    (read,) = read_records(tmp_path, made.content_key)
    assert dict(read.result.table("lengths").data) == dict(made.result.table("lengths").data)
    assert read.result.tests == made.result.tests
    assert read_records(tmp_path, "another") == []


@pytest.mark.parametrize("model", ["..", ".", "../../x", "/etc", "a/b", "-o", ""])
def test_no_name_of_a_model_leads_out_of_the_folder(tmp_path: Path, model: str) -> None:
    assert folder_of(tmp_path, "loops", model).resolve().parent == tmp_path / "loops"


def test_analyses_are_listed_with_what_they_ask() -> None:
    told = panic_hpc("analyse", "--list").stdout
    for analysis in available().values():
        assert analysis.name in told
        assert analysis.asks in told.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "no analysis 'nothing'"),
        (["loops", "--set", "loops.sed=1"], "sed"),
        (["loops", "--set", "sed=1"], "no setting"),
        (["--model", "Other"], "no embeddings of 'Other'"),
        (["--script", "missing.py"], "no Python file"),
    ],
)
def test_what_is_not_there_is_named(dataset: Path, arguments: list[str], told: str) -> None:
    done = panic_hpc("analyse", dataset, *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_are_values_or_words() -> None:
    assert parse_settings(["a.b=2", "a.c=x", "d.e=[1]"]) == {
        "a": {"b": 2, "c": "x"},
        "d": {"e": [1]},
    }


def test_q_values_are_those_of_the_paper() -> None:
    """Table 1 of Benjamini and Hochberg (1995): four of fifteen are rejected at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
         0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    q = q_values(p[::-1])[::-1]
    assert sum(value <= 0.05 for value in q) == 4
    assert q[3] == pytest.approx(0.0095 * 15 / 4)
    assert q_values([0.01, float("nan")])[0] == 0.01


def test_tests_are_corrected_within_their_family() -> None:
    tests = [HypothesisTest(family, "x", "nothing", 1.0, 0.04, 9, "prompts") for family in "aab"]
    table = table_of_tests(("analysis", "model", test) for test in tests)
    assert table.data["q"] == [0.04, 0.04, 0.04]


def test_a_test_without_its_unit_of_replication_is_refused() -> None:
    with pytest.raises(PanicError, match="unit of replication"):
        HypothesisTest("family", "x", "nothing", 1.0, 0.5, 9, "")


def test_plain_arrays_are_taken_without_a_copy(tmp_path: Path) -> None:
    stored = np.memmap(tmp_path / "v", np.float32, "w+", shape=(3, 4, 2))
    found = TrajectorySet.of_array(stored, {"prompt": ["a", "a", "b"]}, lengths=[4, 2, 0])
    assert np.shares_memory(found.vectors, stored)
    assert [len(found.of_run(run)) for run in range(3)] == [4, 2, 0]
    assert found.select(np.array([False, True, False])).labels.prompt.tolist() == ["a"]
    with pytest.raises(PanicError, match="numbers of runs"):
        TrajectorySet.of_array(stored, {"prompt": ["a"]})


def test_labels_come_from_frames() -> None:
    frame = pl.DataFrame({"prompt": ["a", "b"], "seed": [1, 2]})
    found = TrajectorySet.of_array(np.zeros((2, 3, 4)), frame)
    assert found.labels.seed.tolist() == [1, 2]
    assert found.labels.network.tolist() == ["", ""]


def test_settings_that_are_wrong_are_all_told(dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)seed.*level"):
        analyse(dataset, AnalysisRequest(settings={"loops": {"seed": "x", "level": 2}}))


def test_without_names_an_answer_each_is_printed_and_by_name_every_sentence(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("networks", "loops", "pictures")
    print_answers(analyse(dataset, AnalysisRequest(names, directory=tmp_path, workers=1)), dataset)
    short = capsys.readouterr().out
    lines = short.splitlines()
    answers = [line for line in lines if not line.startswith(("Tables: ", "Every sentence: "))]
    assert max(map(len, answers)) <= 80
    assert [line.split()[0] for line in answers if re.match("  [a-z]", line)] == list(names)
    assert "Of 2 networks" in short
    assert "not done: pictures" in short
    assert f"Tables: {tmp_path}/ANALYSIS/MODEL" in short
    named = panic_hpc("analyse", dataset, *names, "-o", tmp_path).stdout
    assert str(tmp_path / "networks" / "SimulatedText") in named
    assert "SimulatedPainter1 → SimulatedTeller2: " in named or "SimulatedTeller1: " in named
    assert "(from before)" in named


def test_texts_of_tables_are_no_formulas_and_move_no_cursor() -> None:
    texts = [
        "=cmd|' /C calc'!A1",
        "  @SUM(1)",
        "-1+1",
        "\uff1d1",
        "\x1b[2J",
        "A → B",
        "",
    ]
    columns = (Quantity("network", "its name", ""), Quantity("mean", "of it"))
    rows = [(text, -0.5) for text in [*texts, None]]
    written = csv_bytes(ResultTable.of_rows("means", "network", columns, rows)).decode()
    read = pl.read_csv(written.encode())
    assert read["network"].to_list()[:6] == [
        "'=cmd|' /C calc'!A1", "'  @SUM(1)", "'-1+1", "'\uff1d1", "\\x1b[2J", "A → B",
    ]  # fmt: skip
    assert read["mean"].to_list() == [-0.5] * 8


def test_a_dataset_that_is_replaced_meanwhile_gives_no_result_to_the_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one.h5", tmp_path / "other.h5"
    for path, seed in ((one, 1), (other, 2)):
        few = {"prompts": 2, "networks": 1, "runs": 1, "states": 8, "dimensions": 4}
        write_dataset(Planted(**few, tau=2, seed=seed), path)  # type: ignore[arg-type]
    asked: list[int] = []

    def replace_then_report(done: int, total: int) -> None:
        # Called first between the look at the dataset and the first analysis of it.
        if not asked:
            other.rename(one)
        asked.append(done)

    with pytest.raises(PanicError, match="was replaced by another dataset while it was analysed"):
        analyse(one, AnalysisRequest(names=["convergence"], workers=1), replace_then_report)
    assert not list((tmp_path / "one.analyses").rglob("record.json"))
    assert [record.error for record in analyse(one, AnalysisRequest(names=["convergence"]))] == [""]
