"""`panic-hpc merge` and `verify` on real experiments, and when things break."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import experiments
import pytest
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.cli import app, register_verbs
from panic_hpc.errors import ConflictError, ManifestError, PanicError, ShardError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.worker.worker import Worker, WorkerOptions
from panic_hpc.workspace.shard_files import scan_shard_files
from panic_hpc.workspace.status import ShardStatus, status
from panic_hpc.workspace.workspace import open_workspace

# A damaged dataset: other files are not replaced unasked.
PREVIOUS = b"\x89HDF\r\n\x1a\n and no more"
STAGES = ("runs", "embeddings", "diagrams")
register_verbs(app)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose shards are all published."""
    planned = experiments.planned(tmp_path_factory.mktemp("merge") / "exp", runs_per_shard=2)
    planned.work(*STAGES)
    return planned.paths.root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "exp")
    return tmp_path / "exp"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def shards(root: Path, stage: str) -> list[Path]:
    return sorted((root / "shards" / stage).rglob("*.h5"))


def test_merge_makes_the_dataset_that_the_stages_promise(root: Path) -> None:
    done = run("merge", root)
    assert done.exit_code == 0, done.output
    with panic_hpc.open(root / "dataset.h5") as dataset:
        assert dataset.content_key in done.output
        assert dataset.n_runs == 9
        for row in range(9):
            steps = list(dataset.texts(row))
            assert dataset.trajectory(row, "DummyText").shape[0] == len(steps)
            assert len(dataset.diagrams(row, "DummyVision")) == 2
    assert "up to date" in run("merge", root).output
    done = run("verify", root)
    assert done.exit_code == 0, done.output


def test_the_shard_layout_does_not_show(root: Path, tmp_path: Path) -> None:
    other = experiments.planned(tmp_path / "other", runs_per_shard=100)
    other.work(*STAGES)
    first = json.loads(run("merge", root, "--json").output)
    second = json.loads(run("merge", other.paths.root, "--no-check", "--json").output)
    assert first["content_key"] == second["content_key"]
    done = run("merge", root, other.paths.root, "-o", tmp_path / "b.h5", "--json")
    both = json.loads(done.output)
    assert (both["content_key"], both["n_runs"]) == (first["content_key"], 9)


def test_incomplete_work_is_refused_with_a_list_or_recorded(root: Path) -> None:
    gone = shards(root, "diagrams")[0]
    gone.unlink()
    with pytest.raises(ManifestError, match=rf"1 of 11 shards are missing:\n.*{gone.name}"):
        merge([root], root / "dataset.h5", MergeOptions())
    assert not (root / "dataset.h5").exists()
    done = run("merge", root, "--allow-missing")
    assert done.exit_code == 0
    assert "1 shards were missing" in done.output
    with panic_hpc.open(root / "dataset.h5") as dataset:
        (missing,) = dataset.metadata["missing"]
        assert (missing["stage"], missing["index"]) == ("diagrams", 0)


def test_nothing_to_merge_is_said(tmp_path: Path) -> None:
    planned = experiments.planned(tmp_path / "exp")
    with pytest.raises(ManifestError, match="missing"):
        merge([planned.paths.root], tmp_path / "d.h5", MergeOptions())
    with pytest.raises(ManifestError, match="nothing to merge"):
        merge([planned.paths.root], tmp_path / "d.h5", MergeOptions(allow_missing=True))


def swap(root: Path) -> None:
    one, two = shards(root, "embeddings")[:2]
    one.rename(root / "aside")
    two.rename(one)
    (root / "aside").rename(two)


def of_another_experiment(root: Path) -> None:
    other = experiments.planned(root.parent / "other", runs_per_shard=2, seeds=[4, 5, 6])
    other.work("runs")
    shutil.copyfile(shards(other.paths.root, "runs")[0], shards(root, "runs")[0])


def truncated(root: Path) -> None:
    path = shards(root, "runs")[1]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-100])


def text(root: Path) -> None:
    path = shards(root, "diagrams")[1]
    path.unlink()
    path.write_text("no shard")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (swap, "files changed places"),
        (of_another_experiment, "another experiment"),
        (truncated, "runs_00001"),
        (text, "diagrams_00001.*not a readable HDF5"),
    ],
)
def test_wrong_shards_are_named_and_the_dataset_stays(root: Path, trouble: Any, words: str) -> None:
    merge([root], root / "dataset.h5", MergeOptions())
    before = (root / "dataset.h5").read_bytes()
    for path in (root / "shards").rglob("*.h5"):
        path.chmod(0o644)
    trouble(root)
    with pytest.raises(PanicError, match=words):
        merge([root], root / "dataset.h5", MergeOptions())
    assert (root / "dataset.h5").read_bytes() == before
    done = run("verify", root, "--json")
    assert done.exit_code == 1
    found = [finding for one in json.loads(done.output) for finding in one["findings"]]
    assert found
    assert all(finding["hint"] for finding in found)


def test_verify_compares_the_dataset_with_the_manifest(root: Path, tmp_path: Path) -> None:
    fewer = experiments.planned(tmp_path / "fewer", seeds=[1, 2])
    fewer.work(*STAGES)
    merge([fewer.paths.root], root / "dataset.h5", MergeOptions())
    findings = [one["findings"] for one in json.loads(run("verify", root, "--json").output)]
    assert [finding["rule"] for finding in findings[-1]] == ["M02"]


def test_verify_says_when_it_could_not_check(tmp_path: Path) -> None:
    assert run("verify", tmp_path / "no.h5").exit_code == 2
    assert run("verify", tmp_path).exit_code == 2
    assert run("verify", tmp_path, "--sample", "9").exit_code == 2


def test_a_full_disk_is_seen_before_anything_is_copied(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = list(os.statvfs(root))
    fields[4] = 10
    monkeypatch.setattr(os, "statvfs", lambda place: os.statvfs_result(fields))
    with pytest.raises(PanicError, match="are free"):
        merge([root], root / "dataset.h5", MergeOptions())
    assert not list(root.glob("*dataset*"))


def test_a_write_that_fails_leaves_the_previous_dataset(root: Path) -> None:
    (root / "dataset.h5").write_bytes(PREVIOUS)
    code = """if True:
        import resource, signal, sys
        from pathlib import Path
        from panic_hpc.errors import PanicError
        from panic_hpc.stages.merge.experiments import merge
        from panic_hpc.merging.assembling import MergeOptions
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            merge([Path(sys.argv[1])], Path(sys.argv[1], "dataset.h5"), MergeOptions())
        except PanicError as error:
            print("refused", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, root], capture_output=True, text=True, timeout=240, check=False
    )
    assert "refused" in done.stdout, done.stderr
    assert (root / "dataset.h5").read_bytes() == PREVIOUS
    assert not list(root.glob(".*.tmp"))


def test_a_merge_killed_in_the_middle_is_merged_again(root: Path) -> None:
    merge([root], root / "dataset.h5", MergeOptions(allow_missing=True))
    before = (root / "dataset.h5").read_bytes()
    content_before = panic_hpc.open(root / "dataset.h5").content_key
    (root / "dataset.h5").rename(root / "previous.h5")
    (root / "dataset.h5").write_bytes(before[:-1])
    code = """if True:
        import sys, time
        from pathlib import Path
        from panic_hpc.stages.merge.experiments import merge
        from panic_hpc.merging.assembling import MergeOptions
        def report(done, total):
            print("copying", flush=True)
            time.sleep(60)
        merge([Path(sys.argv[1])], Path(sys.argv[1], "dataset.h5"), MergeOptions(report=report))
    """
    with subprocess.Popen([sys.executable, "-c", code, root], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"copying\n"
        child.send_signal(signal.SIGKILL)
    assert (root / "dataset.h5").read_bytes() == before[:-1]
    (left,) = root.glob(".dataset.h5.*.tmp")
    os.utime(left, (time.time() - 7200,) * 2)
    merge([root], root / "dataset.h5", MergeOptions())
    assert not list(root.glob(".*.tmp"))
    with panic_hpc.open(root / "dataset.h5") as dataset:
        dataset.file.check_all()
        assert dataset.content_key == content_before


def test_a_stop_is_obeyed(root: Path) -> None:
    options = MergeOptions(should_stop=lambda: "the job ends soon")
    with pytest.raises(PanicError, match="the job ends soon"):
        merge([root], root / "dataset.h5", options)
    assert not (root / "dataset.h5").exists()


def test_old_shards_with_another_version_are_named(root: Path) -> None:
    path = shards(root, "runs")[0]
    with ArrayFile(path) as file:
        assert file.header["version"] == [1, 0]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content.replace(b'"version":[1,0]', b'"version":[0,9]'))
    with pytest.raises(ShardError, match=path.name):
        merge([root], root / "dataset.h5", MergeOptions())


def test_a_dataset_that_lacks_shards_is_not_the_end_of_the_merge(root: Path) -> None:
    gone = shards(root, "diagrams")[0]
    content = gone.read_bytes()
    gone.unlink()
    assert run("merge", root, "--allow-missing").exit_code == 0
    (merging,) = status_of(root, "merge")
    assert merging.state == "waiting"
    assert merging.detail == "the dataset there lacks 1 shards; needs diagrams_00000"
    assert "lacks 1 shards" in run("status", root).output
    gone.write_bytes(content)
    (merging,) = status_of(root, "merge")
    assert (merging.state, merging.detail) == ("eligible", "the dataset there lacks 1 shards")
    assert list(Worker(open_workspace(root), WorkerOptions("s")).run("merge", [0])) == ["completed"]
    (merging,) = status_of(root, "merge")
    assert (merging.state, merging.detail) == ("completed", "")
    with panic_hpc.open(root / "dataset.h5") as dataset:
        assert dataset.metadata["missing"] == []
        assert dataset.file.header["n_missing"] == 0


def test_a_dataset_that_cannot_be_read_is_made_anew(root: Path) -> None:
    (root / "dataset.h5").write_bytes(PREVIOUS)
    (merging,) = status_of(root, "merge")
    assert merging.state == "eligible"
    assert "cannot be read" in merging.detail
    experiments.Planned(manifest.read(root), ExperimentPaths(root)).work("merge")
    (merging,) = status_of(root, "merge")
    assert merging.state == "completed"


def status_of(root: Path, stage: str) -> tuple[ShardStatus, ...]:
    experiment = open_workspace(root)
    return status(experiment, scan_shard_files(experiment), {}).stages[stage]


@pytest.mark.parametrize("changed", [{"metric": "cosine"}, {"thresh": 0.5}, {"maxdim": 0}])
def test_diagrams_that_were_made_differently_are_not_mixed(
    root: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    homology = experiments.DEFAULTS["homology"] | changed
    other = experiments.planned(tmp_path / "other", seeds=[4], homology=homology)
    other.work(*STAGES)
    (name,) = changed
    with pytest.raises(ConflictError, match=f"DummyText.*exp and other: homology.{name} is"):
        merge([root, other.paths.root], tmp_path / "all.h5", MergeOptions())
    assert not (tmp_path / "all.h5").exists()
    for path in (other.paths.root / "shards" / "diagrams").rglob("*.h5"):
        path.unlink()
    merge([root, other.paths.root], tmp_path / "all.h5", MergeOptions(allow_missing=True))


def test_pictures_of_different_codecs_stand_side_by_side(root: Path, tmp_path: Path) -> None:
    other = experiments.planned(tmp_path / "other", images={"codec": "png"})
    other.work(*STAGES)
    merge([root, other.paths.root], tmp_path / "all.h5", MergeOptions())
    with panic_hpc.open(tmp_path / "all.h5") as dataset:
        codecs = [one["config"]["images"]["codec"] for one in dataset.metadata["experiments"]]
        assert codecs == ["webp-lossless", "png"]
        assert dataset.n_runs == 18
        for experiment in (0, 1):
            row = dataset.runs(experiment=experiment)["run"][0]
            assert dataset.image(row, dataset.image_steps(row)[0]).ndim == 3
