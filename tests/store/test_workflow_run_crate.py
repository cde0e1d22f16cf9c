"""Crates are Workflow Run Crates: their validator says so, and their experiments plan again."""

import json
import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import needs
import pytest
import synthetic
from little_experiment import plan_little

import panic_hpc
from panic_hpc.store.exports.crate import Description, export_crate, require_empty

needs.library("polars", "analysis")
needs.library("rocrate", "publish")

VALIDATOR = os.environ.get("PANIC_HPC_ROCRATE_VALIDATOR") or shutil.which("rocrate-validator")
FILL_CACHE = Path(__file__).parents[1] / "support" / "json_ld_cache.py"
ABOUT = Description("Loops", ("Doe, Jane <0000-0002-1825-0097>", "Müller, Kim"), "Made up.")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    return synthetic.pictured(root)


def crate_of(path: Path, directory: Path, about: Description = ABOUT) -> dict[str, Any]:
    require_empty(directory)
    export_crate([path], directory, about)
    graph = json.loads((directory / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


@pytest.mark.skipif(
    VALIDATOR is None, reason="needs rocrate-validator (pipx install roc-validator)"
)
@pytest.mark.parametrize("authors", [ABOUT.authors, ABOUT.authors[1:]])
def test_the_validator_of_the_profile_passes(
    path: Path, tmp_path: Path, authors: tuple[str, ...]
) -> None:
    crate_of(path, tmp_path / "crate", Description("Loops", authors))
    found = validated(tmp_path / "crate", tmp_path / "cache")
    assert found["passed"], found["issues"]
    # The validator sees what is wrong: without its action the workflow was never run.
    metadata = tmp_path / "crate" / "ro-crate-metadata.json"
    value = json.loads(metadata.read_text())
    value["@graph"] = [one for one in value["@graph"] if one["@id"] != "#run"]
    metadata.write_text(json.dumps(value))
    assert not validated(tmp_path / "crate", tmp_path / "cache")["passed"]


def validated(crate: Path, cache: Path) -> dict[str, Any]:
    """Return the report of the profile's validator on all that the profile requires."""
    program = Path(str(VALIDATOR))
    context = str(resources.files("rocrate") / "data" / "ro-crate.jsonld")
    python = program.read_text().splitlines()[0].removeprefix("#!")
    subprocess.run([python, str(FILL_CACHE), str(cache), context], check=True, capture_output=True)
    options = ["--offline", "--cache-path", str(cache), "-f", "json", "-o", str(cache) + ".json"]
    subprocess.run(
        [str(program), "-y", "validate", "-p", "workflow-run-crate", *options, str(crate)],
        check=False, capture_output=True, timeout=120,
    )  # fmt: skip
    return dict(json.loads(Path(str(cache) + ".json").read_text()))


def test_the_dataset_is_the_result_of_the_workflow(path: Path, tmp_path: Path) -> None:
    graph = crate_of(path, tmp_path / "crate")
    root, run = graph["./"], graph["#run"]
    assert root["mainEntity"] == run["instrument"] == {"@id": "workflow.json"}
    assert run["result"] == {"@id": "dataset.h5"}
    assert run["object"] == {"@id": "experiments.json"}
    assert graph["#output-dataset"]["workExample"] == {"@id": "dataset.h5"}
    assert graph["dataset.h5"]["exampleOfWork"] == {"@id": "#output-dataset"}
    parts = {one["@id"] for one in root["hasPart"]}
    files = {p.name for p in (tmp_path / "crate").iterdir()}
    assert parts == files - {"ro-crate-metadata.json", "SHA256SUMS", "dataset.h5.digest"}
    assert [one["@id"].rpartition("/")[0].rpartition("/")[2] for one in root["conformsTo"]] == [
        "process", "workflow", "workflow-ro-crate",
    ]  # fmt: skip


def test_experiments_of_a_crate_plan_to_the_same_manifest(tmp_path: Path) -> None:
    root = plan_little(tmp_path / "E", max_length=2, embedding_models=[])
    workspace = panic_hpc.open_workspace(root)
    panic_hpc.submit(workspace, panic_hpc.request_for("local", executor="inline"), wait=True)
    crate_of(workspace.paths.dataset, tmp_path / "crate")
    [found] = json.loads((tmp_path / "crate" / "experiments.json").read_text())["experiments"]
    file = tmp_path / "again.json"
    file.write_text(json.dumps(found["experiment"]))
    again = panic_hpc.preview(file, runs_per_shard=2)
    assert again.key == found["key"] == workspace.manifest.key
    told = json.loads((tmp_path / "crate" / "workflow.json").read_text())
    assert told["stages"] == ["runs", "merge"]
    assert told["networks"] == ["DummyT2I → DummyI2T"]
