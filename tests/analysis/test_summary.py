import subprocess
import sys
from pathlib import Path

import pytest

import panic_hpc
from panic_hpc.analysis.summary import NetworkSummary, summarise
from panic_hpc.report.overview import richest_run
from panic_hpc.store.dataset.dataset import Dataset

EXPERIMENT = """
name = "summary"
max_length = 60
prompts = ["a red circle", "a boat"]
seeds = [1, 2]
embedding_models = ["DummyText"]

[[networks]]
models = ["DummyT2I", "DummyI2T"]
noise = "fixed"

[[networks]]
models = ["DummyT2I2", "DummyI2T2"]
noise = "per_step"
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("summary")
    (root / "experiment.toml").write_text(EXPERIMENT)
    for arguments in (("plan", root / "experiment.toml"), ("submit", "--executor", "inline")):
        verb, *rest = map(str, arguments)
        command = [sys.executable, "-m", "panic_hpc", verb, *rest, str(root / "exp")]
        subprocess.run(command, check=True, capture_output=True)
    return panic_hpc.open(root / "exp" / "dataset.h5")


@pytest.fixture(scope="module")
def rows(dataset: Dataset) -> list[NetworkSummary]:
    return summarise(dataset)


def test_there_is_a_row_for_each_network_in_order(rows: list[NetworkSummary]) -> None:
    assert [row.network for row in rows] == ["DummyT2I → DummyI2T", "DummyT2I2 → DummyI2T2"]
    assert [row.noise for row in rows] == ["fixed", "per_step"]
    assert [row.runs for row in rows] == [4, 4]
    assert [row.failed_runs for row in rows] == [0, 0]


def test_captions_are_counted_by_hand(dataset: Dataset, rows: list[NetworkSummary]) -> None:
    counts = sorted(len(set(dataset.texts(run).values())) for run in range(4))
    assert rows[0].distinct_captions == (counts[1] + counts[2]) / 2


def test_loops_are_those_that_the_outputs_prove(
    dataset: Dataset, rows: list[NetworkSummary]
) -> None:
    lengths = sorted(length for run in range(4) if (length := _steps_since_last_seen(dataset, run)))
    assert lengths
    assert rows[0].loop_lengths == tuple(lengths)
    assert rows[1].loop_lengths == ()


def _steps_since_last_seen(dataset: Dataset, run: int) -> int:
    """Return how many steps before its last one a run gave the same output, 0 for never."""
    outputs: dict[int, object] = {
        **dataset.texts(run),
        **{step: dataset.image_bytes(run, step) for step in dataset.image_steps(run)},
    }
    last = max(outputs)
    return next((last - s for s in range(last - 1, -1, -1) if outputs[s] == outputs[last]), 0)


def test_entropies_are_means_over_runs(dataset: Dataset, rows: list[NetworkSummary]) -> None:
    first = [dataset.entropy(run, "DummyText")[0] for run in range(4)]
    assert rows[0].entropies["DummyText"][0] == pytest.approx(sum(first) / 4)


def test_a_dataset_without_diagrams_has_a_summary_too(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(EXPERIMENT.replace("length = 60", "length = 4"))
    for words in (
        ("plan", tmp_path / "experiment.toml", tmp_path / "exp"),
        ("submit", tmp_path / "exp", "--executor", "inline", "--stage", "runs"),
        ("merge", tmp_path / "exp", "--allow-missing"),
    ):
        command = [sys.executable, "-m", "panic_hpc", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True)
    with panic_hpc.open(tmp_path / "exp" / "dataset.h5") as dataset:
        assert [row.entropies for row in summarise(dataset)] == [{}, {}]
        assert richest_run(dataset, "DummyText") is None
