"""Deleting an experiment: all of it, nothing else, and not while it is worked on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.errors import ManifestError, PanicError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import make_plan
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
