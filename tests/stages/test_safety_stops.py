"""Time and memory stop diagrams, and what becomes of those: nothing final, if it can be helped."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from experiments import Planned, planned, stage_named
from typer.testing import CliRunner

from panic_hpc.cli import register_verbs
from panic_hpc.errors import Interrupted
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.stages.diagrams import estimate, job
from panic_hpc.stages.diagrams.clouds import RunCloud
from panic_hpc.stages.diagrams.one_diagram import (
    Diagram,
    DiagramSettings,
    SafetyStops,
    compute,
)
from panic_hpc.stages.diagrams.stops import had_the_job, is_final, remark, safety_stops
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.format.shard import open_shard, publish_shard
from panic_hpc.store.results.base import DIGEST
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

pytestmark = pytest.mark.native

STAGES = (RUNS, EMBEDDINGS, DIAGRAMS)
LAZY = {"engine": "lazy", "maxdim": 2}
ENDLESS = {**LAZY, "budget": 10**12}
ENOUGH_FOR_ONE = 375_000_000
"""Of 80 %, an interpreter alone leaves half to an engine; two leave nothing."""


def noisy(root: Path) -> Planned:
    """Return one run whose 500 embeddings are nearly equidistant, which takes minutes."""
    experiment = planned(
        root,
        prompts=["a red apple"],
        seeds=[1],
        noise="per_step",
        max_length=1000,
        embedding_models=["DummyText"],
        homology=ENDLESS,
    )
    experiment.work(RUNS, EMBEDDINGS)
    path = experiment.paths.shard(stage_named(EMBEDDINGS).shards(experiment.manifest)[0])
    with open_shard(path) as file:
        arrays = {name: file.array(name) for name in file.entries if name != DIGEST.name}
        header = file.shard_header
    shape = (len(arrays["embeddings/vector"]), 300)
    noise = np.random.default_rng(0).standard_normal(shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    arrays["embeddings/vector"] = noise.astype("<f4")
    path.unlink()
    publish_shard(path, header, arrays)
    return experiment


def execute(experiment: Planned, **changes: Any) -> None:
    for shard in stage_named(DIAGRAMS).shards(experiment.manifest):
        stage_named(DIAGRAMS).execute(experiment.context(**changes), shard)


def columns(experiment: Planned, *names: str) -> list[Any]:
    path = experiment.paths.shard(stage_named(DIAGRAMS).shards(experiment.manifest)[0])
    with open_shard(path) as file:
        return [file.array(name).tolist() for name in names]


def test_a_diagram_cut_short_is_left_for_later_until_it_has_had_two_jobs_to_itself(
    tmp_path: Path,
) -> None:
    experiment = noisy(tmp_path)
    shard = stage_named(DIAGRAMS).shards(experiment.manifest)[0]
    jobs = 0
    while not experiment.paths.shard(shard).exists() and jobs < 10:
        jobs += 1
        try:
            execute(experiment, deadline=time.time() + 2)
        except Interrupted:
            continue
    assert 2 <= jobs < 10
    names = ("runs/status", "runs/complete_dimensions", "runs/digest")
    status, complete, digest = columns(experiment, *names)
    assert (status, digest) == ([DIAGRAM_STATUS["incomplete"]], [b""])
    assert complete[0] in (1, 2)  # H0 was there at once, and is kept
    assert "stopped by deadline" in experiment.paths.remark(shard).read_text()


def test_a_deadline_that_is_over_before_anything_began_records_nothing(tmp_path: Path) -> None:
    experiment = planned(tmp_path, homology=LAZY)
    experiment.work(RUNS, EMBEDDINGS)
    for _ in range(4):
        with pytest.raises(Interrupted):
            execute(experiment, deadline=time.time() - 60)
    experiment.work(DIAGRAMS)
    assert set(columns(experiment, "runs/status")[0]) == {DIAGRAM_STATUS["computed"]}


def test_a_signal_is_answered_while_diagrams_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "GRACE_S", 0.5)
    experiment = noisy(tmp_path)
    started: list[float] = []

    def soon(margin_s: float) -> str:
        started.append(time.monotonic())
        return "received SIGTERM" if started[-1] - started[0] > 2 else ""

    with pytest.raises(Interrupted, match="SIGTERM"):
        execute(experiment, should_stop=soon, cpus=2)
    assert not experiment.paths.remarks.exists()


def test_what_is_too_large_for_its_share_gets_all_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "POOL_PAYS_S", 0.0)
    free, tight = (planned(tmp_path / name, homology=LAZY) for name in ("free", "tight"))
    free.work(*STAGES)
    tight.work(*STAGES, cpus=2, memory_bytes=ENOUGH_FOR_ONE)
    assert free.digests(DIAGRAMS) == tight.digests(DIAGRAMS)
    assert not tight.paths.remarks.exists()


def test_what_is_too_large_for_the_machine_is_incomplete_everywhere(
    tmp_path: Path,
) -> None:
    experiment = planned(tmp_path / "e", homology=LAZY, embedding_models=["DummyText"])
    experiment.work(*STAGES, memory_bytes=1)
    assert set(columns(experiment, "runs/status")[0]) == {DIAGRAM_STATUS["incomplete"]}
    assert set(experiment.digests(DIAGRAMS).values()) == {b""}
    root = str(experiment.paths.root)
    app = typer.Typer()
    register_verbs(app)
    for command, words in (
        (["status", root], "9 of 9 diagrams are incomplete (stopped by memory"),
        (["merge", root], "9 diagrams are incomplete"),
        (["verify", root], "9 diagrams incomplete"),
    ):
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0
        assert words in " ".join(done.output.split())
    with_them = merge([experiment.paths.root], tmp_path / "a.h5", MergeOptions())
    for shard in stage_named(DIAGRAMS).shards(experiment.manifest):
        experiment.paths.shard(shard).unlink()
    without = merge([experiment.paths.root], tmp_path / "b.h5", MergeOptions(allow_missing=True))
    assert (with_them.n_incomplete, without.n_incomplete) == (9, 0)
    assert with_them.content_key == without.content_key


def test_what_the_budget_stops_is_part_of_the_content_key(tmp_path: Path) -> None:
    homology = {**LAZY, "budget": 1}
    one, two = (
        planned(tmp_path / name, homology=homology, noise="per_step", max_length=40)
        for name in ("one", "two")
    )
    one.work(*STAGES)
    two.work(*STAGES, cpus=2, memory_bytes=10**9, deadline=time.time() + 1000)
    assert DIAGRAM_STATUS["stopped"] in columns(one, "runs/status")[0]
    assert all(one.digests(DIAGRAMS).values())
    assert one.digests(DIAGRAMS) == two.digests(DIAGRAMS)


def test_null_models_that_are_stopped_make_the_diagram_incomplete(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    points = np.repeat(rng.standard_normal((20, 300)).astype("<f4"), 30, axis=0)
    settings = DiagramSettings(2, "euclidean", "lazy", np.inf, None, surrogates=10_000)
    cloud = RunCloud(0, points, 0, "0" * 32)
    found = compute(settings, SafetyStops(time.time() + 2), cloud)
    assert (found.status, found.stopped_by) == ("incomplete", "deadline")
    assert found.distinct_points == 20
    assert len(found.dgms) == 3


def stopped(by: str, elapsed: float = 10.0) -> Diagram:
    return Diagram("incomplete", 5, stopped_by=by, elapsed=elapsed)


def test_the_policy() -> None:
    assert is_final(Diagram("computed", 5), 0, is_alone=False)
    assert not is_final(stopped("memory"), 0, is_alone=False)
    assert is_final(stopped("memory"), 0, is_alone=True)
    assert not is_final(stopped("deadline"), 1, is_alone=True)
    assert is_final(stopped("deadline"), 2, is_alone=False)
    assert had_the_job(stopped("deadline", elapsed=95), 100)
    assert not had_the_job(stopped("deadline", elapsed=50), 100)
    assert not had_the_job(stopped("memory", elapsed=100), 100)
    assert safety_stops(None, None, 4) == SafetyStops(None, None)
    four, one = safety_stops(7.0, 10**10, 4), safety_stops(7.0, 10**10, 1)
    assert four.memory_bytes is not None
    assert one.memory_bytes is not None
    assert 4 * four.memory_bytes < one.memory_bytes < 10**10
    assert remark([], 9) == ""
    assert remark(["b\nx", "a", "b"], 9) == "3 of 9 diagrams are incomplete (a, b)"
