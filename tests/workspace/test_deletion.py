"""Deleting an experiment: all of it, nothing else, and not while it is worked on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import experiments
import pytest

from panic_hpc.errors import ManifestError, PanicError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.packing import pack
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import make_plan
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.types import Shard
from panic_hpc.workspace import leases
from panic_hpc.workspace.deletion import delete, plan_deletion
from panic_hpc.workspace.process import this_process

SHARD = Shard("runs", 3, "", 0, 4)


@pytest.fixture
def paths(tmp_path: Path, small: dict[str, Any]) -> ExperimentPaths:
    """An experiment with something of everything in it."""
    paths = ExperimentPaths(tmp_path / "EXP")
    manifest.write(make_plan(Experiment.model_validate(small), catalogue.load()), paths)
    for path in (paths.shard(SHARD), paths.checkpoint(SHARD), paths.failure(SHARD), paths.dataset):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        path.chmod(0o444)
    paths.report.mkdir()
    (paths.report / "page.html").write_text("page")
    return paths


def test_everything_goes_and_the_manifest_last(paths: ExperimentPaths) -> None:
    doomed = plan_deletion(paths.root)
    assert doomed.paths[-1] == paths.manifest
    assert (doomed.n_files, doomed.nbytes > 4000) == (7, True)
    assert delete(paths.root, doomed)
    assert not paths.root.exists()


def test_what_goes_while_it_is_counted_or_deleted_is_no_obstacle(
    paths: ExperimentPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk, unlink = os.walk, os.unlink

    def walk_and_lose(top: Path, **options: Any) -> Iterator[Any]:
        for found in walk(top, **options):
            # Between the listing and the look at what it listed.
            paths.checkpoint(SHARD).unlink(missing_ok=True)
            yield found

    def after_another(path: Any, **options: Any) -> None:
        unlink(path, **options)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "walk", walk_and_lose)
        assert plan_deletion(paths.root).n_files == 6
    doomed = plan_deletion(paths.root)
    with monkeypatch.context() as patch:
        # As another deletion does, which is as far as this one.
        patch.setattr(os, "unlink", after_another)
        assert delete(paths.root, doomed)
    assert not paths.root.exists()


def test_other_peoples_files_stay(paths: ExperimentPaths) -> None:
    (paths.root / "notes.txt").write_text("mine")
    assert not delete(paths.root, plan_deletion(paths.root))
    assert [path.name for path in paths.root.iterdir()] == ["notes.txt"]


def test_of_a_link_only_the_link_goes(paths: ExperimentPaths, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    (paths.root / "shards").rename(scratch)
    (paths.root / "shards").symlink_to(scratch)
    assert delete(paths.root, plan_deletion(paths.root))
    assert any(scratch.rglob("*.h5"))


def test_what_is_no_experiment_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    with pytest.raises(ManifestError):
        plan_deletion(tmp_path)
    assert (tmp_path / "shards").exists()


def test_a_damaged_manifest_is_no_obstacle(paths: ExperimentPaths) -> None:
    paths.manifest.write_text("{")
    assert delete(paths.root, plan_deletion(paths.root))


def test_not_while_somebody_works_on_it(paths: ExperimentPaths) -> None:
    lease = paths.lease(SHARD)
    lease.parent.mkdir(parents=True)
    held = leases.take(lease, this_process(), "test")
    assert held
    with held, pytest.raises(PanicError, match="is being worked on: runs_00003"):
        plan_deletion(paths.root)
    assert plan_deletion(paths.root).n_files


def test_the_claim_of_a_dead_process_is_no_obstacle(paths: ExperimentPaths) -> None:
    lease = paths.lease(SHARD)
    lease.parent.mkdir(parents=True)
    code = (
        "import os, sys; from pathlib import Path; from panic_hpc.workspace import leases\n"
        "from panic_hpc.workspace.process import this_process\n"
        "assert leases.take(Path(sys.argv[1]), this_process(), 'test')\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(lease)], check=True)
    assert lease.exists()
    assert delete(paths.root, plan_deletion(paths.root))


@pytest.fixture
def referred_to(tmp_path: Path) -> ExperimentPaths:
    """An experiment whose own dataset refers to its pictures, and nothing else does."""
    planned = experiments.planned(tmp_path / "all" / "EXP")
    planned.work("runs")
    merge_references(planned.paths, planned.paths.dataset)
    return planned.paths


def merge_references(paths: ExperimentPaths, target: Path) -> Path:
    return merge([paths.root], target, MergeOptions(refer=True, allow_missing=True)).path


@pytest.mark.parametrize("where", ["all/EXP/mine.h5", "all/of-all", "all.h5"])
def test_shards_that_a_dataset_elsewhere_refers_to_stay_until_it_is_whole(
    tmp_path: Path, referred_to: ExperimentPaths, where: str
) -> None:
    dataset = merge_references(referred_to, tmp_path / where)
    # As people do: the folders keep their places to each other.
    for path in (tmp_path / "all.h5", tmp_path / "others.h5"):
        if not path.exists():
            path.write_text("no dataset at all")
    with pytest.raises(PanicError, match=f"panic-hpc dataset pack {dataset}"):
        plan_deletion(referred_to.root)
    assert plan_deletion(referred_to.root, force=True).n_files
    pack(dataset, dataset)
    delete(referred_to.root, plan_deletion(referred_to.root))
    assert not referred_to.stage_directory("runs").exists()
    assert dataset.exists()


def test_datasets_that_lose_nothing_do_not_hinder(
    tmp_path: Path, referred_to: ExperimentPaths
) -> None:
    other = experiments.planned(tmp_path / "all" / "more")
    other.work("runs")
    merge_references(other.paths, tmp_path / "all" / "of-more.h5")
    # Its shards are behind a link, and stay there.
    (referred_to.root / "shards").rename(tmp_path / "all" / "scratch")
    (referred_to.root / "shards").symlink_to(tmp_path / "all" / "scratch")
    merge_references(referred_to, tmp_path / "all" / "of-links.h5")
    assert plan_deletion(referred_to.root).n_files
    with pytest.raises(PanicError, match=r"of-more\.h5 would lose pictures"):
        plan_deletion(other.paths.root)


def test_the_verb_names_what_would_lose_its_pictures(referred_to: ExperimentPaths) -> None:
    dataset = merge_references(referred_to, referred_to.root.parent / "d.h5")
    command = [sys.executable, "-m", "panic_hpc", "delete", str(referred_to.root), "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, referred_to.manifest.exists()) == (1, True)
    assert f"{dataset} would lose pictures" in " ".join(done.stderr.split())
    done = subprocess.run([*command, "--force"], capture_output=True, text=True, check=True)
    assert not referred_to.root.exists()
