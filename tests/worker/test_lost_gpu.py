"""A process that has lost its GPU fails one shard and leaves the others to a fresh process.

The family below raises what torch raises, and goes on raising it in that process, as CUDA does.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from little_experiment import run_command

from panic_hpc.paths import ExperimentPaths
from panic_hpc.worker.worker import Worker, WorkerOptions, exit_code
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.workspace import Workspace

FAMILY = """
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from panic_hpc.models.base import Output
from panic_hpc.types import IMAGE, TEXT, ModelEntry

ASSERT = "CUDA error: device-side assert triggered\\nCompile with `TORCH_USE_CUDA_DSA`"
lost = []


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 1
    consumes: str


class Fragile:
    def __init__(self, spec):
        self.spec = spec

    def load(self, device):
        pass

    def generate(self, inputs, seeds):
        if any("poison" in text for text in inputs if isinstance(text, str)):
            lost.append(True)
        if lost:
            raise torch.AcceleratorError(ASSERT)
        if self.spec.consumes == TEXT:
            return [Output(np.full((8, 8, 3), len(text) % 251, np.uint8)) for text in inputs]
        return [Output("a" * int(1 + pixels[0, 0, 0])) for pixels in inputs]


class Family:
    name = "fragile"
    settings = Settings
    entries = (
        ModelEntry("FragileT2I", TEXT, IMAGE, defaults={"consumes": TEXT}),
        ModelEntry("FragileI2T", IMAGE, TEXT, defaults={"consumes": IMAGE}),
    )

    def build(self, spec):
        return Fragile(spec)

    def modalities(self, settings):
        return (TEXT, IMAGE) if settings.consumes == TEXT else (IMAGE, TEXT)


PLUGINS = (Family(),)
"""
EXPERIMENT = """
networks = [["FragileT2I", "FragileI2T"]]
prompts = ["one", "poison", "three", "four", "poison again"]
seeds = [1]
noise = "per_step"
max_length = 4
embedding_models = ["DummyText"]
[homology]
engine = "gudhi"
maxdim = 0
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with the family as a package of somebody else, as pip would leave it."""
    folder = tmp_path / "site"
    about = folder / "fragile-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "fragile_family.py").write_text(FAMILY)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[panic_hpc.families]\nfragile = fragile_family\n")
    return folder


def test_one_shard_fails_and_those_behind_it_are_worked_on_by_other_processes(
    tmp_path: Path, package: Path
) -> None:
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    root = tmp_path / "exp"
    options: Any = {"env": {**os.environ, "PYTHONPATH": str(package)}}
    plan = ("plan", tmp_path / "e.toml", root, "--runs-per-shard", "1")
    run_command(*plan, **options)
    submit = ("submit", root, "--executor", "local", "--workers", "1", "--stage", "runs", "--yes")
    run_command(*submit, code=3, **options)
    paths = ExperimentPaths(root)
    published = sorted(path.name for path in (root / "shards" / "runs").glob("*.h5"))
    assert published == [f"runs_{index:05d}.h5" for index in (0, 2, 3)]
    failures = [read_failure(path) for path in sorted(paths.failed.iterdir())]
    assert [failure and failure.kind for failure in failures] == ["DeviceError"] * 2
    assert failures[0] is not None
    assert "device-side assert triggered" in failures[0].reason


def test_the_worker_stops_behind_the_failed_shard_and_asks_for_another(counted: Workspace) -> None:
    stage: Any = counted.stages["runs"]
    honest = stage.execute

    def execute(context: Any, shard: Any) -> None:
        if shard.index == 1:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        honest(context, shard)

    stage.execute = execute
    worker = Worker(counted, WorkerOptions("s"))
    outcomes = list(worker.run("runs", range(4)))
    assert outcomes == ["completed", "failed", "stopped"]
    assert worker.stopper.cause == "device"
    assert exit_code({"failed": 1, "stopped": 1}, "device") == 85
    # With nothing behind it there is nothing to start again for.
    assert exit_code({"failed": 1}, "device") == 1
    following = list(Worker(counted, WorkerOptions("s")).run("runs", range(4)))
    assert following == ["completed", "failed", "completed", "completed"]
