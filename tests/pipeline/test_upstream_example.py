"""Upstream's example as it is, with small checkpoints of the same classes under its names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from moondream_stand_in import repository
from tiny_checkpoints.classes import all_classes

import panic_hpc

pytestmark = pytest.mark.compute

EXAMPLE = Path(__file__).parents[2] / "configs" / "experiments" / "upstream-example.json"
STEPS = 6
MODELS = """
[FluxDev]
path = "flux"
height = 32
width = 32
steps = 2
dtype = "float32"
[Moondream]
path = "moondream"
dtype = "float32"
[Nomic]
path = "nomic_experts"
"""


def test_the_file_runs_to_a_dataset_under_the_names_that_it_has(tmp_path: Path) -> None:
    for name in ("flux", "nomic_experts"):
        all_classes()[name].save(tmp_path / name)
    repository(tmp_path / "moondream")
    (tmp_path / "mine.toml").write_text(MODELS)
    # The one thing that is not upstream's: a hundred steps would test nothing more than six do.
    text = EXAMPLE.read_text().replace('"max_length": 100', f'"max_length": {STEPS}')
    (tmp_path / "example.json").write_text(text)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "panic_hpc", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    planned = run("plan", "example.json", "E", "--models", "mine.toml", "--allow-remote-code")
    assert "Next: panic-hpc submit E" in planned
    run("submit", "E", "--executor", "inline")
    assert "clean" in run("verify", "E/dataset.h5")
    with panic_hpc.open(tmp_path / "E" / "dataset.h5") as dataset:
        assert dataset.n_runs == 4
        assert dataset.networks()["models"][0].to_list() == ["FluxDev", "Moondream"]
        assert all(text.startswith("short ") for text in dataset.texts(0).values())
