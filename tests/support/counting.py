"""A little experiment whose stages count to a number: real files, real checkpoints, no models."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from panic_hpc import clock
from panic_hpc.disk.files import create_file
from panic_hpc.errors import Interrupted
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.base import Context, Estimate, ShardStage
from panic_hpc.types import Shard, ShardId
from panic_hpc.workspace.workspace import Workspace


@dataclass
class Counting(ShardStage):
    """A stage that counts to `steps` a shard, one line of its checkpoint a step."""

    name: str
    after: tuple[str, ...] = ()
    count: int = 4
    steps: int = 5
    step_s: float = 0.0
    failing: set[int] = field(default_factory=set)
    executed: list[int] = field(default_factory=list)

    def shards(self, manifest: Any) -> Sequence[Shard]:
        return [
            Shard(self.name, k, "", k, 1, tuple(ShardId(stage, k) for stage in self.after))
            for k in range(self.count)
        ]

    def estimate(self, manifest: Any) -> Estimate:
        return Estimate(0.0, 1.0, 1.0)

    def execute(self, context: Context, shard: Shard) -> None:
        self.executed.append(shard.index)
        checkpoint = context.paths.checkpoint(shard)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        done = len(checkpoint.read_text()) if checkpoint.exists() else 0
        for step in range(done, self.steps):
            if reason := context.should_stop(0.0):
                raise Interrupted(reason)
            if shard.index in self.failing:
                raise ValueError(f"shard {shard.index} cannot be counted")
            clock.sleep(self.step_s)
            with checkpoint.open("a") as stream:
                stream.write("x")
            context.report(step + 1, self.steps)
        create_file(context.paths.shard(shard), b"x" * self.steps)
        checkpoint.unlink(missing_ok=True)


@pytest.fixture
def counted(tmp_path: Path) -> Workspace:
    """Two stages of four shards each, the second reading the first."""
    stages = {s.name: s for s in (Counting("runs"), Counting("embeddings", after=("runs",)))}
    manifest: Any = SimpleNamespace(key="k", experiment=SimpleNamespace(threads=1))
    return Workspace(manifest, ExperimentPaths(tmp_path), stages)


@pytest.fixture(autouse=True)
def no_scheduler_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SLURM_", "PANIC_HPC_"))]:
        monkeypatch.delenv(name)
