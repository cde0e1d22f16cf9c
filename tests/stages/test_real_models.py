"""The stages with models of the real classes: tiny checkpoints by path, nothing but settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import Planned, planned, stage_named
from tiny_checkpoints import SIDE, Checkpoints, git, sentence_bert, stable_diffusion, vit

from panic_hpc.errors import Interrupted
from panic_hpc.store.format.shard import open_shard
from panic_hpc.store.results.runs import ENDED
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

pytestmark = pytest.mark.compute


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return an experiment with a tiny pipeline, captioner and two embedding models by path."""
    checkpoints = Checkpoints(tmp_path_factory.mktemp("checkpoints"))
    painter = {"steps": 2, "height": SIDE, "width": SIDE, "batch_size": 2}
    models = {
        "Paint": {"family": "diffusers", "path": checkpoints.folder(stable_diffusion), **painter},
        "Tell": {"family": "transformers", "path": checkpoints.folder(git), "max_new_tokens": 5},
        "Text": {
            "family": "sentence_transformers",
            "path": checkpoints.folder(sentence_bert, "whole"),
            "batch_size": 4,
        },
        "Image": {"family": "image_embedding", "path": checkpoints.folder(vit), "batch_size": 4},
    }
    models["Tell"]["batch_size"] = 3
    return {
        "networks": [["Paint", "Tell"]],
        "embedding_models": ["Text", "Image"],
        "models": {
            name: {**table, "path": str(table["path"]), "seconds": 0.1}
            for name, table in models.items()
        },
        "prompts": ["a red moon", "the boat on the grey", "ünïcode ☃"],
        "max_length": 6,
        "noise": "per_step",
    }


@pytest.fixture(scope="module")
def whole(changes: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Planned:
    experiment = planned(tmp_path_factory.mktemp("whole"), **changes)
    experiment.work(RUNS, EMBEDDINGS, DIAGRAMS)
    return experiment


def test_pictures_captions_and_vectors_are_there(whole: Planned) -> None:
    [shard] = stage_named(RUNS).shards(whole.manifest)
    with open_shard(whole.paths.shard(shard)) as runs:
        assert set(runs.array("runs/ended")) == {ENDED["length"]}
        assert len(runs.array("images/invocation")) == 27
        assert (runs.array("invocations/output_tokens")[1::2] > 0).all()
        loaded = runs.header["provenance"]["models"]["Tell"]["loaded"]
        assert loaded["model"] == "GitForCausalLM"
    for shard in stage_named(EMBEDDINGS).shards(whole.manifest):
        with open_shard(whole.paths.shard(shard)) as embeddings:
            assert np.isfinite(embeddings.array("embeddings/vector")).all()


def test_neither_layout_nor_interruptions_matter(
    whole: Planned, changes: dict[str, Any], tmp_path: Path
) -> None:
    cut = planned(tmp_path / "cut", 6, **changes)
    assert [shard.n_runs for shard in cut.manifest.run_shards] == [6, 3]
    asked = 0

    def should_stop(margin_s: float) -> str:
        nonlocal asked
        asked += 1
        return "enough" if asked == 8 else ""

    with pytest.raises(Interrupted):
        cut.work(RUNS, should_stop=should_stop)
    cut.work(RUNS, EMBEDDINGS, DIAGRAMS)
    for stage in (RUNS, EMBEDDINGS, DIAGRAMS):
        assert cut.digests(stage) == whole.digests(stage)


def test_the_same_weights_elsewhere_are_the_same_experiment(
    whole: Planned, changes: dict[str, Any], tmp_path: Path
) -> None:
    import shutil

    table = changes["models"]["Tell"]
    moved = shutil.copytree(table["path"], tmp_path / "moved")
    models = {**changes["models"], "Tell": {**table, "path": str(moved)}}
    other = planned(tmp_path / "other", **{**changes, "models": models})
    assert other.manifest.key == whole.manifest.key
