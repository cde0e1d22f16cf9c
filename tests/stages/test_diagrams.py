"""The diagrams stage: whose states are taken, what is recorded, and how work is spread."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import Planned, planned, stage_named

from panic_hpc.errors import HomologyError, Interrupted
from panic_hpc.experiment.config import Homology
from panic_hpc.homology.api import diagrams
from panic_hpc.homology.entropy import persistence_entropies
from panic_hpc.stages.diagrams import estimate, one_diagram
from panic_hpc.stages.diagrams.clouds import RunCloud
from panic_hpc.stages.diagrams.estimate import pays_a_pool
from panic_hpc.stages.diagrams.one_diagram import DiagramSettings
from panic_hpc.store.format.ragged import unpack_texts
from panic_hpc.store.format.shard import ShardFile, open_shard
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

STAGES = (RUNS, EMBEDDINGS, DIAGRAMS)


def opened(experiment: Planned, stage: str, number: int = 0) -> ShardFile:
    shard = stage_named(stage).shards(experiment.manifest)[number]
    return open_shard(experiment.paths.shard(shard))


def reasons(shard: ShardFile) -> list[str]:
    return unpack_texts(shard.array("reasons/offsets"), shard.array("reasons/values"))


def test_diagrams_are_those_of_each_run_s_own_steps(tmp_path: Path) -> None:
    experiment = planned(tmp_path, max_length=30)
    experiment.work(*STAGES)
    with opened(experiment, EMBEDDINGS) as embeddings, opened(experiment, DIAGRAMS) as shard:
        edges = np.concatenate([[0], np.cumsum(embeddings.array("runs/n_rows"))])
        offsets, bars = shard.array("diagrams/offsets"), shard.array("diagrams/bars")
        for position in range(experiment.manifest.n_runs):
            points = embeddings.array("embeddings/vector")[
                edges[position] + 1 : edges[position + 1]
            ]
            expected = diagrams(points, maxdim=1, engine="gudhi")
            assert shard.array("runs/points")[position] == len(points)
            assert shard.array("runs/distinct_points")[position] == len(np.unique(points, axis=0))
            for dimension, dgm in enumerate(expected.dgms):
                place = 2 * position + dimension
                assert np.array_equal(bars[offsets[place] : offsets[place + 1]], dgm)
            entropies = persistence_entropies(expected.dgms)
            assert np.array_equal(shard.array("diagrams/entropy")[position], entropies, True)
        assert set(shard.array("runs/status")) == {DIAGRAM_STATUS["computed"]}
        assert set(reasons(shard)) == {""}


def test_the_shard_layout_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = planned(tmp_path / "whole"), planned(tmp_path / "cut", runs_per_shard=4)
    whole.work(*STAGES)
    expected = whole.digests(DIAGRAMS)
    monkeypatch.setattr("panic_hpc.stages.diagrams.stage.RUNS_PER_SHARD", 5)
    shards = stage_named(DIAGRAMS).shards(cut.manifest)
    assert [shard.n_runs for shard in shards] == [5, 4, 5, 4]
    cut.work(*STAGES)
    assert cut.digests(DIAGRAMS) == expected


def test_the_number_of_processes_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "POOL_PAYS_S", 0.0)
    one = planned(tmp_path / "one", embedding_models=["DummyText"])
    two = planned(tmp_path / "two", embedding_models=["DummyText"])
    one.work(*STAGES)
    two.work(*STAGES, cpus=2)
    assert one.digests(DIAGRAMS) == two.digests(DIAGRAMS)


def test_stopping_between_diagrams_changes_nothing(tmp_path: Path) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS, EMBEDDINGS)
    shard = stage_named(DIAGRAMS).shards(experiment.manifest)[0]
    done: list[tuple[int, int]] = []

    def after_three(margin_s: float) -> str:
        return "the walltime ends" if len(done) > 3 else ""

    def report(*pair: int) -> None:
        done.append(pair)  # type: ignore[arg-type]

    context = experiment.context(should_stop=after_three, report=report)
    with pytest.raises(Interrupted, match="walltime"):
        stage_named(DIAGRAMS).execute(context, shard)
    assert done == [(count, 9) for count in range(4)]
    done.clear()
    stage_named(DIAGRAMS).execute(experiment.context(report=report), shard)
    assert done == [(count, 9) for count in range(3, 10)]


def test_a_trajectory_with_a_failed_embedding_is_skipped_and_says_so(
    tmp_path: Path, spelling: None
) -> None:
    experiment = planned(
        tmp_path,
        networks=[["Painter", "Namer"]],
        prompts=["abcdef", "uvwxyz"],
        seeds=[1],
        noise="per_step",
        embedding_models=["Lengths"],
        models={"Lengths": {"trouble": "abcd"}},
    )
    experiment.work(*STAGES)
    with opened(experiment, DIAGRAMS) as shard:
        status = [DIAGRAM_STATUS["skipped"], DIAGRAM_STATUS["computed"]]
        assert shard.array("runs/status").tolist() == status
        assert reasons(shard) == ["1 of 6 embeddings failed", ""]
        assert shard.array("runs/complete_dimensions").tolist() == [0, 2]
        assert np.isnan(shard.array("diagrams/entropy")[0]).all()


def test_a_run_without_outputs_is_skipped_and_says_so(tmp_path: Path, spelling: None) -> None:
    experiment = planned(
        tmp_path,
        networks=[["Painter", "Namer"]],
        prompts=["abcdef", "poison"],
        seeds=[1],
        embedding_models=["Lengths"],
        models={"Painter": {"trouble": "poison"}},
    )
    experiment.work(*STAGES)
    with opened(experiment, DIAGRAMS) as shard:
        assert shard.array("runs/points").tolist() == [6, 0]
        assert reasons(shard)[1] == "the run has no output that the model reads"


def test_edges_left_out_are_told_of(tmp_path: Path) -> None:
    homology = {"engine": "gudhi", "maxdim": 1, "thresh": 0.2}
    experiment = planned(tmp_path, homology=homology)
    experiment.work(*STAGES)
    with opened(experiment, DIAGRAMS) as shard:
        assert set(shard.array("runs/complete_dimensions")) == {2}
        assert set(reasons(shard)) == {"edges longer than 0.2 left out"}


def test_one_diagram_that_fails_leaves_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS, EMBEDDINGS)
    honest = one_diagram._computed

    def fail_on_one(cloud: RunCloud, *how: object) -> one_diagram.Diagram:
        if cloud.position == 3:
            raise ArithmeticError("overflow")
        return honest(cloud, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(one_diagram, "_computed", fail_on_one)
    experiment.work(DIAGRAMS)
    with opened(experiment, DIAGRAMS) as shard:
        assert np.flatnonzero(shard.array("runs/status")).tolist() == [3]
        assert shard.array("runs/status")[3] == DIAGRAM_STATUS["failed"]
        assert reasons(shard)[3].startswith("ArithmeticError: overflow\nTraceback")
        assert shard.array("runs/points")[3] > 0
        assert shard.array("runs/distinct_points")[3] == -1


def test_an_engine_that_is_not_there_fails_the_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = planned(tmp_path, homology={"engine": "gudhi"})
    experiment.work(RUNS, EMBEDDINGS)
    for name in ("gudhi", "gudhi.sklearn", "gudhi.sklearn.rips_persistence"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HomologyError, match="gudhi is not installed"):
        experiment.work(DIAGRAMS)


def test_null_models_stand_beside_the_diagram_where_they_are_asked_for(tmp_path: Path) -> None:
    homology = {"engine": "gudhi", "maxdim": 1}
    plain = planned(tmp_path / "plain", homology=homology, noise="per_step", max_length=40)
    beside = planned(
        tmp_path / "beside",
        homology={**homology, "surrogates": 3},
        noise="per_step",
        max_length=40,
    )
    for experiment in (plain, beside):
        experiment.work(*STAGES)
    with opened(plain, DIAGRAMS) as bare, opened(beside, DIAGRAMS) as shard:
        assert "surrogates/statistics" not in bare
        statistics = shard.array("surrogates/statistics")
        assert statistics.shape == (9, 2, 3, 2, 3)
        assert np.isfinite(statistics[:, :, :, 0]).all()
        assert np.array_equal(shard.array("diagrams/bars"), bare.array("diagrams/bars"))
        own = shard.array("diagrams/entropy")[:, 0]
        assert (np.abs(statistics[:, 0, :, 0, 0].mean(axis=1) - own) > 0.01).any()


@pytest.mark.parametrize(
    ("sizes", "changes", "pays"),
    [
        ([100] * 20, {}, False),
        ([1000] * 20, {}, True),
        ([100] * 20, {"surrogates": 199}, True),
        ([20] * 20, {"engine": "gudhi"}, False),
        ([100], {"engine": "gudhi"}, True),
        ([20], {"engine": "gudhi", "maxdim": 3}, True),
        ([], {}, False),
    ],
)
def test_processes_are_started_for_diagrams_that_take_longer_than_these(
    sizes: list[int], changes: dict[str, Any], pays: bool
) -> None:
    settings = DiagramSettings.of(Homology(**{"maxdim": 2, **changes}))
    assert pays_a_pool(sizes, 768, settings) is pays
