"""A new stage or model is one new file: written, found, planned with and worked on."""

from pathlib import Path

from experiments import planned, stage_named
from plugins import plugin_file

from panic_hpc import catalogue
from panic_hpc.store.shard import open_shard
from panic_hpc.types import RUNS

COUNTING_STAGE = """
from panic_hpc.files import create_file
from panic_hpc.stages.base import Estimate
from panic_hpc.store.shard import open_shard
from panic_hpc.types import Shard, ShardId


class Counting:
    name = "counting"
    after = ("runs",)

    def shards(self, manifest):
        return [
            Shard("counting", s.index, "", s.first_run, s.n_runs, (ShardId("runs", s.index),))
            for s in manifest.run_shards
        ]

    def estimate(self, manifest):
        return Estimate(0.0, 1.0, 100.0)

    def execute(self, context, shard):
        source = Shard("runs", shard.index, "", shard.first_run, shard.n_runs)
        with open_shard(context.paths.shard(source)) as runs:
            count = int(runs.array("runs/n_steps").sum())
        create_file(context.paths.shard(shard), str(count).encode())


PLUGINS = (Counting(),)
"""


def test_a_stage_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    experiment = planned(tmp_path / "experiment", runs_per_shard=4)
    with plugin_file("panic_hpc.stages", folder, "counting", COUNTING_STAGE):
        experiment.work(RUNS, "counting")
        shards = stage_named("counting").shards(experiment.manifest)
        counts = [int(experiment.paths.shard(shard).read_bytes()) for shard in shards]
    runs = stage_named(RUNS).shards(experiment.manifest)
    for shard, count in zip(runs, counts, strict=True):
        with open_shard(experiment.paths.shard(shard)) as file:
            assert file.rows("invocations/step") == count


def test_a_model_family_is_one_file(tmp_path: Path, spelling: None) -> None:
    assert {"Painter", "Namer", "Lengths"} <= catalogue.load().entries.keys()
    experiment = planned(
        tmp_path / "experiment", networks=[["Painter", "Namer"]], embedding_models=["Lengths"]
    )
    experiment.work("runs", "embeddings", "diagrams")
    assert len(experiment.digests("diagrams")) == 9
