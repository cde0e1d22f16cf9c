"""A new stage, kind of result or model is a new file each: found, worked on, merged and read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from experiments import Planned, planned, stage_named
from plugins import package_beside, plugin_file

import panic_hpc
from panic_hpc.errors import ConflictError, PanicError, ShardError
from panic_hpc.experiment import catalogue
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.split import split
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.stages.outputs import Outputs
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.exports.parquet import export_parquet
from panic_hpc.store.format.shard import ShardHeader, open_shard, publish_shard
from panic_hpc.types import RUNS, TEXT

WORDS_STAGE = """
from panic_hpc.stages.base import Estimate, ShardStage
from panic_hpc.stages.outputs import Outputs
from panic_hpc.store.format.ragged import pack_texts
from panic_hpc.store.format.shard import ShardHeader, open_shard, publish_shard
from panic_hpc.types import TEXT, Shard, ShardId

import numpy as np


class Words(ShardStage):
    name = "words"
    after = ("runs",)

    def shards(self, manifest):
        return [
            Shard("words", s.index, "", s.first_run, s.n_runs, (ShardId("runs", s.index),))
            for s in manifest.run_shards
        ]

    def estimate(self, manifest):
        return Estimate(0.0, 1.0, 100.0)

    def execute(self, context, shard):
        source = Shard("runs", shard.index, "", shard.first_run, shard.n_runs)
        with open_shard(context.paths.shard(source)) as runs:
            outputs = Outputs(runs, TEXT)
            texts = [
                [item.content.decode() for item in outputs.of_run(place)]
                for place in range(shard.n_runs)
            ]
            offsets, values = pack_texts([max(own, default="", key=len) for own in texts])
            arrays = {
                "runs/index": outputs.indices,
                "runs/key": outputs.keys,
                "runs/state": np.zeros(shard.n_runs, "|u1"),
                "runs/n_captions": np.array([len(own) for own in texts], "<i4"),
                "words/count": np.array([len(t.split()) for own in texts for t in own], "<i4"),
                "longest/offsets": offsets,
                "longest/values": values,
            }
        header = ShardHeader("words", shard.index, "", context.manifest.key)
        publish_shard(context.paths.shard(shard), header, arrays)


PLUGINS = (Words(),)
"""

WORDS_RESULTS = """
import numpy as np

from panic_hpc.store.format.column import Column, ragged_columns
from panic_hpc.store.results.base import IDENTITY, ResultKind
from panic_hpc.store.results.rows import ONE, Counted

STATE = {"counted": 0, "missing": 1}


def negative_counts(section):
    if np.any(section.whole("words/count") < 0):
        yield "S05", "words are counted below zero"


PLUGINS = (
    ResultKind(
        stage="words",
        per_model=False,
        columns=(
            *IDENTITY,
            Column("runs/state", "|u1", "run", "whether it was counted", codes=STATE),
            Column("runs/n_captions", "<i4", "run", "its number of captions", scientific=True),
            Column("words/count", "<i4", "caption", "words of a caption", scientific=True),
            *ragged_columns("longest", "longest", "the longest caption", scientific=True),
        ),
        rows_per_run={"caption": Counted("runs/n_captions"), "longest": ONE},
        dataset_offsets={"caption": "offsets"},
        fill={"runs/state": STATE["missing"]},
        must_agree=("max_length",),
        checks=(negative_counts,),
    ),
)
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


@pytest.fixture
def words(tmp_path: Path) -> Iterator[None]:
    stages, results = tmp_path / "stages", tmp_path / "results"
    stages.mkdir()
    results.mkdir()
    with (
        plugin_file("panic_hpc.stages", stages, "words.stage", WORDS_STAGE),
        plugin_file("panic_hpc.store.results", results, "words", WORDS_RESULTS),
    ):
        yield


def worked(root: Path, runs_per_shard: int = 4, **changes: Any) -> Planned:
    experiment = planned(root, runs_per_shard, embedding_models=["DummyText"], **changes)
    experiment.work("runs", "embeddings", "diagrams", "words")
    return experiment


def word_counts(dataset: Dataset, run: int) -> list[int]:
    return [len(text.split()) for text in dataset.texts(run).values()]


def test_a_stage_and_its_results_are_a_file_each(tmp_path: Path, words: None) -> None:
    experiment = worked(tmp_path / "experiment")
    for shard in stage_named("words").shards(experiment.manifest):
        assert not verify_file(experiment.paths.shard(shard)).findings
    experiment.work("merge")
    assert not verify_file(experiment.paths.dataset).findings
    with panic_hpc.open(experiment.paths.dataset) as dataset:
        assert ("words", "") in dataset.results()
        result = dataset.result("words")
        counts, edges = result.column("count"), result.edges("caption")
        for run in range(dataset.n_runs):
            one = result.of_run(run)
            assert one["count"].tolist() == word_counts(dataset, run)
            assert counts[edges[run] : edges[run + 1]].tolist() == word_counts(dataset, run)
            longest = max(dataset.texts(run).values(), key=len)
            assert one["longest/values"].tobytes().decode() == longest
            assert one["longest/offsets"].tolist() == [0, len(longest.encode())]


def test_results_of_a_plugin_are_the_same_whatever_the_shards(tmp_path: Path, words: None) -> None:
    keys = set()
    for runs_per_shard in (2, 4, 10):
        experiment = worked(tmp_path / str(runs_per_shard), runs_per_shard)
        experiment.work("merge")
        with panic_hpc.open(experiment.paths.dataset) as dataset:
            keys.add(dataset.content_key)
            wanted = [word_counts(dataset, run) for run in range(dataset.n_runs)]
    assert len(keys) == 1
    found = []
    size = experiment.paths.dataset.stat().st_size
    for part in split(experiment.paths.dataset, tmp_path, int(size * 0.9)):
        assert not verify_file(part).findings
        with panic_hpc.open(part) as dataset:
            runs = [dataset.result("words").of_run(run) for run in range(dataset.n_runs)]
        found += [run["count"].tolist() for run in runs]
    assert found == wanted


def test_results_of_a_plugin_are_exported(tmp_path: Path, words: None) -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    experiment = worked(tmp_path / "experiment")
    experiment.work("merge")
    with panic_hpc.open(experiment.paths.dataset) as dataset:
        export_parquet(dataset, tmp_path / "tables")
        runs = polars.read_parquet(tmp_path / "tables" / "words.parquet")
        captions = polars.read_parquet(tmp_path / "tables" / "words_captions.parquet")
        assert runs["state"].to_list() == ["counted"] * dataset.n_runs
        for run in range(dataset.n_runs):
            assert captions.filter(run=run)["count"].to_list() == word_counts(dataset, run)


def test_missing_results_of_a_plugin_are_told(tmp_path: Path, words: None) -> None:
    experiment = worked(tmp_path / "experiment")
    shards = stage_named("words").shards(experiment.manifest)
    experiment.paths.shard(shards[1]).unlink()
    merge([experiment.paths.root], experiment.paths.dataset, MergeOptions(allow_missing=True))
    assert not verify_file(experiment.paths.dataset).findings
    with panic_hpc.open(experiment.paths.dataset) as dataset:
        result, lacking = dataset.result("words"), range(shards[1].first_run, shards[2].first_run)
        assert result.has_run.tolist() == [run not in lacking for run in range(dataset.n_runs)]
        assert result.column("state").tolist() == (~result.has_run).tolist()
        with pytest.raises(PanicError, match="words: its shard was missing"):
            result.of_run(lacking[0])
        after = lacking[-1] + 1
        assert result.of_run(after)["count"].tolist() == word_counts(dataset, after)


def test_the_checks_and_settings_of_a_plugin_hold(tmp_path: Path, words: None) -> None:
    one, other = worked(tmp_path / "one"), worked(tmp_path / "other", max_length=10)
    [shard, *_] = stage_named("words").shards(one.manifest)
    with open_shard(one.paths.shard(shard)) as file:
        arrays = {name: file.array(name) for name in file.entries if name != "runs/digest"}
    with pytest.raises(ShardError, match="counted below zero"):
        publish_shard(
            tmp_path / "x.h5",
            ShardHeader("words", 0, "", one.manifest.key),
            {**arrays, "words/count": arrays["words/count"] - 100},
        )
    with pytest.raises(ConflictError, match=r"words were .*max_length is 12 and 10"):
        merge([one.paths.root, other.paths.root], tmp_path / "d.h5", MergeOptions())


def test_another_package_brings_a_stage_and_nothing_of_it_is_dropped_unsaid(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    modules = {"words_stage": WORDS_STAGE, "words_results": WORDS_RESULTS}
    groups = {"panic_hpc.stages": "words_stage", "panic_hpc.results": "words_results"}
    with package_beside(folder, modules, groups):
        experiment = worked(tmp_path / "experiment")
        experiment.work("merge")
        [shard, *_] = stage_named("words").shards(experiment.manifest)
        assert not verify_file(experiment.paths.dataset).findings
    # From here on that package is no longer there.
    # The content key covers the unknown results too, and still agrees.
    [finding] = verify_file(experiment.paths.dataset).findings
    assert (finding.rule, "stage 'words'" in finding.message) == ("F05", True)
    with panic_hpc.open(experiment.paths.dataset) as dataset:
        assert len(dataset.trajectory(0, "DummyText")) > 0
        with pytest.raises(PanicError, match="words"):
            dataset.result("words")
    with pytest.raises(PanicError, match="has results of words"):
        split(experiment.paths.dataset, tmp_path, 10**6)
    [finding] = verify_file(experiment.paths.shard(shard)).findings
    assert "nothing installed here declares" in finding.message
    with pytest.raises(ShardError, match="stage 'words', which nothing installed"):
        open_shard(experiment.paths.shard(shard))


def test_a_model_family_is_one_file(tmp_path: Path, spelling: None) -> None:
    assert {"Painter", "Namer", "Lengths"} <= catalogue.load().entries.keys()
    experiment = planned(
        tmp_path / "experiment", networks=[["Painter", "Namer"]], embedding_models=["Lengths"]
    )
    experiment.work("runs", "embeddings", "diagrams")
    assert len(experiment.digests("diagrams")) == 9
