"""The variant for login nodes: built without a compiler, it does everything but compute."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

EXPERIMENT = """
networks = [["DummyT2I", "DummyI2T"]]
prompts = ["a red apple"]
seeds = [1]
embedding_models = ["DummyText"]
max_length = 4
"""

COMPUTE = """
from panic_hpc.errors import HomologyError
from panic_hpc.homology.api import diagrams
try:
    diagrams([[0.0], [1.0]])
except HomologyError as error:
    assert "PANIC_HPC_PURE" in error.hint and "gudhi" in error.hint
else:
    raise SystemExit("no error")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the pure wheel unpacked, made where no compiler can be found."""
    folder = tmp_path_factory.mktemp("pure")
    (folder / "tools").mkdir()
    environ = {**os.environ, "PANIC_HPC_PURE": "1", "PATH": str(folder / "tools")}
    environ.pop("CXX", None)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(PROJECT)], check=True, env=environ, timeout=240)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".so", ".cpp", ".hpp"))]
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, *words: str) -> str:
    # Without -S the finder of an editable install would go before any path.
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    command = [sys.executable, "-S", *words]
    done = subprocess.run(
        command, env=environ, check=True, capture_output=True, text=True, cwd=site
    )
    return done.stdout


def test_it_plans(site: Path, tmp_path: Path) -> None:
    assert "Usage" in run(site, "-m", "panic_hpc", "--help")
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    run(site, "-m", "panic_hpc", "plan", str(tmp_path / "e.toml"), str(tmp_path / "e"))
    assert "diagrams" in run(site, "-m", "panic_hpc", "status", str(tmp_path / "e"))


def test_computing_says_what_is_missing(site: Path) -> None:
    found = run(site, "-c", "import panic_hpc; print(panic_hpc.__file__)")
    assert found.strip().startswith(str(site))
    run(site, "-c", COMPUTE)
