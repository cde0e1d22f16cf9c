"""docs/format.md says what the code does: its example runs, its tables are the schema's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import format_tables
import pytest
import synthetic
from synthetic import Experiment

import panic_hpc
from panic_hpc.store.dataset.schema import dataset_column
from panic_hpc.store.format.reader import ArrayFile

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "format.md"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("document")
    experiment = Experiment(root / "exp")
    inputs = synthetic.write(experiment, [12])
    return synthetic.merged(root / "dataset.h5", (experiment, inputs)).path


def test_the_example_runs_with_h5py_alone(dataset: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert "panic_hpc" not in example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example + "\nprint(len(trajectory))"],
        cwd=dataset.parent,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    with panic_hpc.open(dataset) as opened:
        names = opened.networks()["models"][0].to_list()
        assert lines[0] == f"{names} seed {opened.runs()['seed'][0]}"
        for step, text in opened.texts(0).items():
            assert f"{step} {text}" in lines
        assert lines[-1] == str(len(opened.trajectory(0, opened.embedding_models[0])))


def test_the_tables_are_those_of_the_schema() -> None:
    document = DOCUMENT.read_text()
    assert format_tables.filled(document) == document, "run tools/documents/format_tables.py"


def test_every_array_of_a_dataset_is_in_the_tables(dataset: Path) -> None:
    text = DOCUMENT.read_text()
    with ArrayFile(dataset) as file:
        for name in file.entries:
            column = dataset_column(name)
            assert column is not None, name
            general = re.sub(r"^(embeddings|diagrams)/[^/]+/", r"\1/<model>/", name)
            assert f"| `{general}` | `{column.dtype.lstrip('|')}` |" in text
