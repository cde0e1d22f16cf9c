"""docs/extending.md makes a package of plugins, which is installed and goes through a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import documents
import pytest
from documents import Command

# Some ten processes one after another: on a machine under load each of them takes half a minute.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document's files, its package installed in `site`, and all its commands run."""
    folder = tmp_path_factory.mktemp("loud")
    documents.write_files("extending.md", folder)
    for package in ("panic_loud", "panic_loud/clusters"):
        (folder / package / "__init__.py").touch()
    install = ["install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", *install, "--target", str(folder / "site"), str(folder)]
    subprocess.run(pip, check=True, capture_output=True)
    environ = os.environ | {"PYTHONPATH": str(folder / "site")}
    for command in documents.commands("extending.md"):
        documents.run(command, folder, environ)
    return folder


def with_package(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder / "site")}


def test_the_recipes_are_planned_worked_merged_verified_and_exported(folder: Path) -> None:
    tables = {path.stem for path in (folder / "tables").iterdir()}
    assert any(name.startswith("loudness") for name in tables), tables


def test_the_analysis_is_listed_and_its_answer_is_kept(folder: Path) -> None:
    show = Command(["panic-hpc", "analyse", "--list"], [], True)
    assert "growth" in documents.run(show, folder, with_package(folder))
    [record] = (folder / "answers").rglob("record.json")
    [statement] = json.loads(record.read_text())["statements"]
    # Of five texts the first is left out: a mark a step in the three steps between the others.
    assert (statement["value"], statement["unit"]) == (3.0, "characters")


def test_a_profile_and_help_know_what_is_installed(folder: Path) -> None:
    show = Command(["panic-hpc", "clusters", "show", "quiet"], [], True)
    assert "loudness" in documents.run(show, folder, with_package(folder))
    told = documents.run(Command(["panic-hpc", "--help"], [], True), folder, with_package(folder))
    assert "│ loudest " in told


def test_without_the_package_its_results_are_named(folder: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "panic_hpc", "verify", "dataset.h5"],
        # Not in `folder`, where pip leaves what the package is found by.
        cwd=folder / "EXP", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "loudness" in told.stdout + told.stderr
    assert "Traceback" not in told.stderr
