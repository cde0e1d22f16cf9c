"""Planned seconds against walltimes: what is told, what is refused, and what would fit."""

import math
from pathlib import Path
from typing import Any

import pytest
from little_experiment import plan_little

from panic_hpc.backends.slurm.walltime import (
    WalltimeProblem,
    fitting_target_minutes,
    refuse_short_walltimes,
    shard_seconds,
    walltime_problem,
)
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.errors import LaunchError
from panic_hpc.planning import manifest
from panic_hpc.planning.manifest import Manifest, laid_out_again
from panic_hpc.planning.plan import PlanOptions
from panic_hpc.stages.base import Estimate, installed_stages

MINUTES_A_RUN = 3.0


@pytest.fixture
def planned(tmp_path: Path) -> Manifest:
    """Twelve runs of three minutes in one shard, embedded in no time."""
    half = {"seconds": MINUTES_A_RUN * 60 / 12, "batch_size": 2}
    models = {"DummyT2I": half, "DummyI2T": half, "DummyText": {"seconds": 0.001}}
    root = plan_little(tmp_path / "exp", runs_per_shard=12, seeds=[1, 2, 3, 4], models=models)
    return manifest.read(root)


def cluster(walltime_min: int | None, *, requeue: bool = True, **tables: Any) -> Cluster:
    stages = {name: {"walltime_min": walltime_min} for name in installed_stages()}
    return Cluster.model_validate(
        {"name": "site", "limits": {"requeue": requeue}, "stages": stages, **tables}
    )


def problem(planned: Manifest, site: Cluster, stage: str = "runs") -> WalltimeProblem | None:
    return walltime_problem(installed_stages()[stage], planned, site)


@pytest.mark.parametrize(
    ("walltime_min", "requeue", "words", "is_refused"),
    [
        (None, True, "", False),
        (46, False, "", False),
        (40, False, "which is tight", False),
        (37, True, "which is tight", False),
        (30, True, "requeued about once", False),
        (10, True, "requeued about 3 times", False),
        (10, False, "it takes 4 submissions", True),
    ],
)
def test_a_shard_of_36_minutes(
    planned: Manifest, walltime_min: int | None, requeue: bool, words: str, is_refused: bool
) -> None:
    found = problem(planned, cluster(walltime_min, requeue=requeue))
    if not words:
        assert found is None
        return
    assert found is not None
    assert words in found.message
    assert f"about 36 min, the walltime is {walltime_min} min" in found.message
    assert found.is_refused is is_refused


@pytest.mark.parametrize("walltime_min", [8, 10, 20, 30])
def test_the_layout_that_is_offered_fits(planned: Manifest, walltime_min: int) -> None:
    site = cluster(walltime_min)
    found = problem(planned, site)
    assert found is not None
    target = float(found.hint.split("--target-minutes ")[1].split(",")[0])
    again = laid_out_again(planned, PlanOptions(target_minutes=target))
    assert len(again.run_shards) > 1
    assert problem(again, site) is None


def test_a_walltime_that_no_layout_fits_offers_a_longer_one_that_does(planned: Manifest) -> None:
    found = problem(planned, cluster(5))
    assert found is not None
    assert "--target-minutes" not in found.hint
    longer = int(found.hint.split("walltime_min to ")[1])
    assert problem(planned, cluster(longer)) is None
    assert problem(planned, cluster(math.floor(longer * 0.9))) is not None


def test_shards_that_follow_those_of_the_runs_are_offered_a_layout_too(tmp_path: Path) -> None:
    slow = {name: {"batch_size": 1, "seconds": 1} for name in ("DummyT2I", "DummyI2T")}
    slow["DummyText"] = {"seconds": 60, "batch_size": 1}
    root = plan_little(tmp_path / "exp", runs_per_shard=12, seeds=[1, 2, 3, 4], models=slow)
    stage, site = installed_stages()["embeddings"], cluster(60)
    target = fitting_target_minutes(stage, manifest.read(root), site.stage("embeddings"), 2800.0)
    assert target is not None
    again = laid_out_again(manifest.read(root), PlanOptions(target_minutes=target))
    assert shard_seconds(stage.longest_shard(again), stage, site.stage("embeddings")) <= 2800.0


def test_cores_and_ranks_share_work_for_cores(planned: Manifest) -> None:
    work = Estimate(gpu_seconds=10.0, cpu_seconds=80.0, nbytes=0.0)
    tables = {"stages": {"diagrams": {"cpus": 8}, "merge": {"ranks_per_node": 4, "cpus": 2}}}
    site, stages = Cluster.model_validate({"name": "site", **tables}), installed_stages()
    assert shard_seconds(work, stages["diagrams"], site.stage("diagrams")) == 20.0
    assert shard_seconds(work, stages["merge"], site.stage("merge")) == 30.0


def test_what_cannot_go_on_from_a_checkpoint_is_refused_whatever_the_site_does(
    planned: Manifest,
) -> None:
    class Huge(type(installed_stages()["merge"])):  # type: ignore[misc]
        def longest_shard(self, manifest: Manifest) -> Estimate:
            return Estimate(0.0, 7200.0, 0.0)

    found = walltime_problem(Huge(), planned, cluster(60, requeue=True))
    assert found is not None
    assert found.is_refused
    with pytest.raises(LaunchError, match=r"(?s)cannot go on.*--allow-short-walltime"):
        refuse_short_walltimes([found])
    allowed = walltime_problem(Huge(), planned, cluster(60), allow_short=True)
    assert allowed is not None
    refuse_short_walltimes([allowed])
