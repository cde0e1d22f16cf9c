"""Parts of a dataset hold its runs, all of them, once, and are datasets themselves."""

import json
from pathlib import Path
from typing import Any

import experiments
import needs
import numpy as np
import pytest
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.cli import app, register_verbs
from panic_hpc.errors import PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.split import split
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.checks.verify import verify_file

register_verbs(app)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planned = experiments.planned(tmp_path_factory.mktemp("split") / "exp", seeds=list(range(8)))
    planned.work("runs", "embeddings", "diagrams")
    merge([planned.paths.root], planned.paths.dataset, MergeOptions())
    return planned.paths.dataset


def everything(path: Path) -> dict[str, Any]:
    with panic_hpc.open(path) as dataset:
        return {
            key: (
                dataset.texts(key),
                [dataset.image_bytes(key, step) for step in dataset.image_steps(key)],
                dataset.trajectory(key, "DummyText").tolist(),
                [dgm.tolist() for dgm in dataset.diagrams(key, "DummyVision")],
                dataset.invocations(key)["model"].to_list(),
                dataset.prompt_texts()[dataset.runs()["prompt"][dataset.row(key)]],
            )
            for key in dataset.runs()["key"].to_list()
        }


def test_parts_have_every_run_once(whole: Path, tmp_path: Path) -> None:
    limit = whole.stat().st_size * 3 // 4
    parts = split(whole, tmp_path, limit)
    assert len(parts) > 1
    found: dict[str, Any] = {}
    for part in parts:
        assert part.stat().st_size <= limit
        assert verify_file(part).findings == ()
        own = everything(part)
        assert not own.keys() & found.keys()
        found |= own
    assert found == everything(whole)
    assert list(found) == list(everything(whole))
    with panic_hpc.open(parts[1]) as second, panic_hpc.open(whole) as dataset:
        assert second.metadata["part_of"]["content_key"] == dataset.content_key
        assert np.array_equal(second.members()["run"], np.arange(second.n_runs))


def test_limits_that_no_run_fits_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(PanicError, match="too small"):
        split(whole, tmp_path, whole.stat().st_size // 100)
    assert list(tmp_path.iterdir()) == []


def test_a_crate_of_parts(whole: Path, tmp_path: Path) -> None:
    needs.library("rocrate", "publish")
    limit = f"{whole.stat().st_size * 3 // 4}B"
    about = ["--title", "T", "--author", "D, J", "--max-file", limit, "--json"]
    command = ["export", "crate", str(whole), "-o", str(tmp_path / "c"), *about]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    names = {Path(path).name for path in json.loads(done.output)}
    assert {"dataset-001.h5", "dataset-002.h5", "SHA256SUMS", "README.md"} <= names
    assert "dataset.h5" not in names
