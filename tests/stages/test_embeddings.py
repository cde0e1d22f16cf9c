from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import Planned, planned, stage_named
from killing import kill_until_done

from panic_hpc.errors import Interrupted, ShardError
from panic_hpc.models.loading import load
from panic_hpc.stages.outputs import Outputs
from panic_hpc.store.format.shard import ShardFile, open_shard
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED
from panic_hpc.types import EMBEDDINGS, IMAGE, RUNS, TEXT


def opened(experiment: Planned, stage: str, number: int = 0) -> ShardFile:
    shard = stage_named(stage).shards(experiment.manifest)[number]
    return open_shard(experiment.paths.shard(shard))


def test_the_prompt_comes_first_and_then_every_output(tmp_path: Path) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS, EMBEDDINGS)
    manifest = experiment.manifest
    model = load(manifest.embedding_models[0], "cpu")
    with opened(experiment, RUNS) as runs, opened(experiment, EMBEDDINGS) as embeddings:
        outputs = Outputs(runs, TEXT)
        edges = np.concatenate([[0], np.cumsum(embeddings.array("runs/n_rows"))])
        for position in range(manifest.n_runs):
            stored = outputs.of_run(position)
            rows = slice(edges[position], edges[position + 1])
            steps = embeddings.array("embeddings/step")[rows].tolist()
            assert steps == [-1, *(item.step for item in stored)]
            prompt = manifest.prompts[manifest.run(position).prompt].text
            read = [prompt, *(item.content.decode() for item in stored)]
            vectors = embeddings.array("embeddings/vector")[rows]
            for text, vector in zip(read, vectors, strict=True):
                assert np.array_equal(model.embed([text] * 4)[0][0], vector)


def test_a_model_of_images_embeds_images_only(tmp_path: Path) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS, EMBEDDINGS)
    with opened(experiment, RUNS) as runs, opened(experiment, EMBEDDINGS, 1) as embeddings:
        assert embeddings.header["model"] == "DummyVision"
        steps = [item.step for p in range(9) for item in Outputs(runs, IMAGE).of_run(p)]
        assert embeddings.array("embeddings/step").tolist() == steps
        assert len(steps) == len(runs.array("images/invocation"))


@pytest.mark.parametrize("runs_per_shard", [1, 4])
def test_the_shard_layout_does_not_matter(tmp_path: Path, runs_per_shard: int) -> None:
    whole, cut = planned(tmp_path / "whole"), planned(tmp_path / "cut", runs_per_shard)
    whole.work(RUNS, EMBEDDINGS)
    cut.work(RUNS, EMBEDDINGS)
    assert len(whole.digests(EMBEDDINGS)) == 18
    assert whole.digests(EMBEDDINGS) == cut.digests(EMBEDDINGS)


def test_a_second_time_does_nothing(tmp_path: Path) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS, EMBEDDINGS)
    paths = [experiment.paths.shard(s) for s in stage_named(EMBEDDINGS).shards(experiment.manifest)]
    before = [path.stat() for path in paths]
    experiment.work(EMBEDDINGS)
    assert [path.stat() for path in paths] == before


def test_stopping_between_runs_changes_nothing(tmp_path: Path) -> None:
    whole, stopped = planned(tmp_path / "whole"), planned(tmp_path / "stopped")
    whole.work(RUNS, EMBEDDINGS)
    stopped.work(RUNS)
    asked = 0

    def should_stop(margin_s: float) -> str:
        nonlocal asked
        asked += 1
        return "enough" if asked % 5 == 0 else ""

    stops = 0
    for shard in stage_named(EMBEDDINGS).shards(stopped.manifest):
        while not stopped.paths.shard(shard).exists():
            try:
                context = stopped.context(should_stop=should_stop)
                stage_named(EMBEDDINGS).execute(context, shard)
            except Interrupted:
                stops += 1
    assert stops >= 4
    assert stopped.digests(EMBEDDINGS) == whole.digests(EMBEDDINGS)


def test_a_kill_at_any_moment_changes_nothing(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "embedding_models": ["DummyVision"],
        "noise": "per_step",
    }
    whole, killed = planned(tmp_path / "whole", **changes), planned(tmp_path / "killed", **changes)
    whole.work(RUNS, EMBEDDINGS)
    killed.work(RUNS)
    assert kill_until_done(killed, EMBEDDINGS, 1, (1_000, 4_000)) >= 2
    assert killed.digests(EMBEDDINGS) == whole.digests(EMBEDDINGS)


def test_a_vector_that_is_not_finite_is_a_failure_and_never_zero(
    tmp_path: Path, spelling: None
) -> None:
    experiment = planned(
        tmp_path,
        networks=[["Painter", "Namer"]],
        prompts=["abcdef"],
        seeds=[1],
        noise="per_step",
        embedding_models=["Lengths"],
        models={"Lengths": {"trouble": "abcd"}},
        max_length=6,
    )
    experiment.work(RUNS, EMBEDDINGS)
    with opened(experiment, EMBEDDINGS) as shard:
        vectors, flags = shard.array("embeddings/vector"), shard.array("embeddings/flags")
        assert shard.array("embeddings/step").tolist() == [-1, 1, 3, 5]
        assert flags.tolist() == [0, 0, EMBEDDING_FAILED, 0]
        assert np.isnan(vectors).any(axis=1).tolist() == [False, False, True, False]
        assert np.isnan(vectors[2]).all()
        [failure] = shard.header["provenance"]["failures"]
        assert failure == {"run": 0, "step": 3, "reason": "the vector is not finite"}


def test_a_damaged_input_is_refused(tmp_path: Path) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS)
    path = experiment.paths.shard(stage_named(RUNS).shards(experiment.manifest)[0])
    content = bytearray(path.read_bytes())
    with open_shard(path) as shard:
        content[shard.entry("images/values").offset] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(ShardError, match="images/values"):
        experiment.work(EMBEDDINGS)
