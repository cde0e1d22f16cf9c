"""A new stage or model is one new file: written, found, planned with and worked on."""

from pathlib import Path

from experiments import planned, stage_named
from plugins import plugin_file

from panic_hpc.experiment import catalogue
from panic_hpc.stages.embeddings.outputs import Outputs
from panic_hpc.store.format.shard import open_shard
from panic_hpc.types import RUNS, TEXT

COUNTING_STAGE = """
from panic_hpc.disk.files import create_file
from panic_hpc.stages.base import Estimate, ShardStage
from panic_hpc.store.format.shard import open_shard
from panic_hpc.types import Shard, ShardId


class Counting(ShardStage):
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

AUDIO_CODEC = """
import hashlib

import numpy as np


class AudioCodec:
    name = "audio"

    def problem(self, value):
        return "" if isinstance(value, np.ndarray) and value.ndim == 1 else "no sound"

    def encode(self, value, option):
        return value.astype("<i2").tobytes()

    def decode(self, content):
        return np.frombuffer(content, "<i2")

    def plain(self, value):
        return np.zeros_like(value)

    def digest(self, value):
        return hashlib.sha256(value.tobytes()).hexdigest()[:32]


PLUGINS = (AudioCodec(),)
"""

AUDIO_FAMILY = """
import numpy as np
from pydantic import BaseModel, ConfigDict
from panic_hpc.models.base import Output
from panic_hpc.types import EMBEDDING, TEXT, ModelEntry


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 2
    kind: str


class Model:
    dimension = 2

    def __init__(self, spec):
        self.spec = spec

    def load(self, device):
        pass

    def generate(self, inputs, seeds):
        return [Output(self.turn(value)) for value in inputs]

    def turn(self, value):
        if self.spec.consumes == TEXT:
            return np.array([ord(letter) for letter in value], np.int16)
        return "".join(map(chr, np.roll(value, 1)))

    def embed(self, inputs):
        rows = [[len(sound), sound[0]] for sound in inputs]
        return np.array(rows, np.float32), np.zeros(len(inputs), bool)


class Sounds:
    name = "sounds"
    settings = Settings
    entries = (
        ModelEntry("Singer", TEXT, "audio", defaults={"kind": "singer"}),
        ModelEntry("Listener", "audio", TEXT, defaults={"kind": "listener"}),
        ModelEntry("Ear", "audio", EMBEDDING, defaults={"kind": "ear"}),
    )

    def build(self, spec):
        return Model(spec)

    def modalities(self, settings):
        ends = {"singer": (TEXT, "audio"), "listener": ("audio", TEXT), "ear": ("audio", EMBEDDING)}
        return ends[settings.kind]


PLUGINS = (Sounds(),)
"""


def test_a_modality_is_one_file_and_its_models_another(tmp_path: Path) -> None:
    codecs, models = tmp_path / "codecs", tmp_path / "models"
    codecs.mkdir()
    models.mkdir()
    with (
        plugin_file("panic_hpc.stages.codecs", codecs, "audio", AUDIO_CODEC),
        plugin_file("panic_hpc.models.families", models, "sounds", AUDIO_FAMILY),
    ):
        experiment = planned(
            tmp_path / "experiment",
            networks=[["Singer", "Listener"]],
            embedding_models=["Ear"],
            prompts=["do re mi"],
            seeds=[1],
            max_length=4,
            loop_stop=False,
        )
        experiment.work("runs", "embeddings", "diagrams")
        [shard] = stage_named(RUNS).shards(experiment.manifest)
        with open_shard(experiment.paths.shard(shard)) as runs:
            sounds = Outputs(runs, "audio").of_run(0)
            texts = [item.content.decode() for item in Outputs(runs, TEXT).of_run(0)]
    assert [item.step for item in sounds] == [0, 2]
    assert texts == ["ido re m", "mido re "]


def test_a_stage_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    experiment = planned(tmp_path / "experiment", runs_per_shard=4)
    with plugin_file("panic_hpc.stages", folder, "counting.stage", COUNTING_STAGE):
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
