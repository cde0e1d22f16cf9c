"""docs/extending.md makes a package of plugins: it is installed, and an experiment goes through it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", DOCUMENT, re.DOTALL))
CONSOLES = re.findall(r"<!-- run -->\n```console\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document's files, and its package installed in `site`."""
    folder = tmp_path_factory.mktemp("loud")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    (folder / "panic_loud" / "__init__.py").touch()
    install = ["install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", *install, "--target", str(folder / "site"), str(folder)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


def commands() -> list[tuple[str, str]]:
    """Return (command, output as the document has it), in order."""
    parts = re.split(r"^\$ ", CONSOLES[0], flags=re.MULTILINE)[1:]
    pairs = [part.partition("\n") for part in parts]
    return [(command, shown) for command, _, shown in pairs]


def test_the_recipes_make_a_package_that_is_planned_worked_merged_verified_and_read(
    folder: Path,
) -> None:
    environ = os.environ | {"PYTHONPATH": str(folder / "site"), "COLUMNS": "80"}
    for command, shown in commands():
        words = shlex.split(command)
        assert words[0] == "panic-hpc"
        done = subprocess.run(
            [sys.executable, "-m", "panic_hpc", *words[1:]],
            cwd=folder, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert shown in done.stdout
    tables = {path.name for path in (folder / "tables").iterdir()}
    assert any("loudness" in name or "text" in name for name in tables), tables
    again = subprocess.run(
        [sys.executable, "-m", "panic_hpc", "clusters", "show", "quiet.toml"],
        cwd=folder, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "loudness" in again.stdout


def test_without_the_package_its_results_are_named_and_nothing_is_lost(folder: Path) -> None:
    if not (folder / "EXP" / "dataset.h5").exists():
        pytest.skip("needs the dataset of the test before")
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    told = subprocess.run(
        [sys.executable, "-m", "panic_hpc", "verify", "EXP/dataset.h5"],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "loudness" in told.stdout + told.stderr
    assert "Traceback" not in told.stderr
