"""Two merge one file at once, processes stand still, paths are no UTF-8: one content."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gating import Gate
from little_experiment import command_line, plan_little, wait_for

import panic_hpc
from panic_hpc.health.experiment import verify_experiment
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.workspace.leases import STALE_AFTER_S
from panic_hpc.workspace.workspace import open_workspace

NOT_UTF8 = os.fsdecode(b"exp\xff\xfe \xe9")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that is done, in a directory that was renamed to what is no UTF-8."""
    root = plan_little(tmp_path_factory.mktemp("done") / "EXP", max_length=4)
    request = panic_hpc.request_for("local", executor="inline")
    panic_hpc.submit(open_workspace(root), request, wait=True)
    return root.rename(root.with_name(NOT_UTF8))


def content_key(path: Path) -> str:
    with panic_hpc.open(path) as dataset:
        dataset.file.check_all()
        return dataset.content_key


def merging(root: Path, target: Path, *before: str) -> "subprocess.Popen[str]":
    command = [*before, *command_line("merge", root, "-o", target, "--force")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_what_would_have_to_be_recorded_is_refused_in_a_directory_that_is_no_utf_8(
    done: Path, tmp_path: Path, experiment_file: Callable[..., Path]
) -> None:
    planned = tmp_path / NOT_UTF8
    for arguments in (("plan", experiment_file(), planned), ("submit", done)):
        ended = subprocess.run(command_line(*arguments), capture_output=True, check=False)
        assert ended.returncode == 1
        assert rb"exp\xff\xfe" in ended.stdout + ended.stderr
        assert b"Traceback" not in ended.stdout + ended.stderr
    assert not planned.exists()


def test_an_experiment_and_outputs_may_have_names_that_are_no_utf_8(
    done: Path, tmp_path: Path
) -> None:
    target = tmp_path / os.fsdecode(b"out\xff.h5")
    for arguments in (
        ("status", done), ("verify", done), ("doctor", done), ("merge", done, "-o", target),
        ("export", "parquet", target, "-o", tmp_path / os.fsdecode(b"parquet\xff")),
    ):  # fmt: skip
        ended = subprocess.run(command_line(*arguments), capture_output=True, check=False)
        said = ended.stdout + ended.stderr
        assert ended.returncode == 0, (arguments, said)
        assert b"Traceback" not in said
    assert content_key(target) == content_key(done / "dataset.h5")


def test_two_mergers_of_one_file_leave_a_whole_dataset(done: Path, tmp_path: Path) -> None:
    target = tmp_path / "both.h5"
    both = [merging(done, target) for _ in range(2)]
    said = [one.communicate(timeout=200)[0] for one in both]
    assert any(one.returncode == 0 for one in both), said
    assert not any("Traceback" in words for words in said), said
    assert content_key(target) == content_key(done / "dataset.h5")
    assert set(os.listdir(tmp_path)) == {target.name, f"{target.name}.digest"}


def test_a_merge_that_stands_still_while_another_makes_its_file_goes_on_to_the_same(
    done: Path, tmp_path: Path
) -> None:
    target = tmp_path / "stopped.h5"
    first = merging(done, target)
    wait_for(lambda: any(tmp_path.iterdir()) or first.poll() is not None, "the merge to begin")
    first.send_signal(signal.SIGSTOP)
    second = merging(done, target)
    assert "Traceback" not in second.communicate(timeout=200)[0]
    assert second.returncode == 0
    key = content_key(target)
    first.send_signal(signal.SIGCONT)
    assert "Traceback" not in first.communicate(timeout=200)[0]
    assert content_key(target) == key == content_key(done / "dataset.h5")


WORKER = """
import os, signal, sys
from panic_hpc.workspace import leases, process
from panic_hpc.worker.worker import WorkerOptions, run_shards
root, stage, host, lifetime_s, stops = sys.argv[1:]
leases.STALE_AFTER_S = float(lifetime_s)
# Of another machine: what runs on this one cannot be seen from there.
if host != "here":
    process._place = lambda: (host, host)
take = leases.take
def take_and_stop(*asked, **options):
    held = take(*asked, **options)
    os.kill(os.getpid(), signal.SIGSTOP)
    return held
if stops:
    leases.take = take_and_stop
sys.exit(run_shards(root, stage, [0], WorkerOptions("s")))
"""


def working(
    root: Path,
    stage: str = "runs",
    host: str = "here",
    lifetime_s: float = STALE_AFTER_S,
    *,
    stops: bool = False,
) -> "subprocess.Popen[str]":
    """Start a worker; one that stops stands still as soon as it has its lease."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, root, stage, host, str(lifetime_s), "stops" * stops],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def said_by(worker: "subprocess.Popen[str]") -> str:
    """Wait for a worker that ends well; return what it said to its log of errors."""
    _, said = worker.communicate(timeout=250)
    assert worker.returncode == 0, said
    assert "Traceback" not in said
    return said


def test_a_worker_that_stood_still_goes_on_where_nobody_followed_it(
    tmp_path: Path, gate: Gate
) -> None:
    root = plan_little(tmp_path / "EXP", runs_per_shard=6, max_length=4, delay_s=0.2)
    workspace = open_workspace(root)
    worker = working(root)
    lease = workspace.paths.lease(workspace.shards("runs")[0])
    wait_for(lambda: lease.exists() or worker.poll() is not None, "a lease")
    worker.send_signal(signal.SIGSTOP)
    gate.open()
    # It lives, so that nobody else is to begin.
    said_by(working(root))
    assert not workspace.paths.shard(workspace.shards("runs")[0]).exists()
    worker.send_signal(signal.SIGCONT)
    said_by(worker)
    assert not lease.exists()
    assert workspace.paths.shard(workspace.shards("runs")[0]).exists()


# The lease's lifetime, and how long they stand still.
MINUTES = [
    pytest.param(4.0, 5.0, id="seconds"),
    pytest.param(STALE_AFTER_S, STALE_AFTER_S + 30.0, id="minutes", marks=pytest.mark.long),
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("lifetime_s", "stopped_s"), MINUTES)
@pytest.mark.parametrize("stage", ["runs", pytest.param("merge", marks=pytest.mark.long)])
def test_a_worker_that_stood_still_for_longer_than_its_lease_leaves_all_to_who_followed_it(
    tmp_path: Path, gate: Gate, stage: str, lifetime_s: float, stopped_s: float
) -> None:
    root = plan_little(tmp_path / "EXP", runs_per_shard=6, max_length=8, delay_s=0.2)
    workspace = open_workspace(root)
    [shard, *_] = workspace.shards(stage)
    if stage == "merge":
        gate.open()
        for before in ("runs", "embeddings", "diagrams"):
            said_by(working(root, before))
    lease, file = workspace.paths.lease(shard), workspace.paths.shard(shard)
    # In the middle of its runs; a merge of so little is over in a moment, and stops by itself.
    worker = working(root, stage, lifetime_s=lifetime_s, stops=stage == "merge")
    if stage == "runs":
        begun = workspace.paths.checkpoint(shard)
        wait_for(lambda: begun.exists() or worker.poll() is not None, "its work to begin")
        worker.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert worker.poll() is None, "it was done before it was stopped"
    gate.open()
    time.sleep(stopped_s)
    said_by(working(root, stage, "elsewhere", lifetime_s))
    made = file.read_bytes()
    worker.send_signal(signal.SIGCONT)
    said = said_by(worker)
    assert file.read_bytes() == made
    assert not lease.exists()
    assert not workspace.paths.failure(shard).exists()
    if stage == "runs":
        assert "was taken over" in said
    assert not [one for one in verify_experiment(root, ALL, lambda *_: None) if one.findings]


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("stopped_s", [5.0, STALE_AFTER_S + 30.0])
def test_a_submitter_that_stood_still_ends_as_if_it_had_not(
    tmp_path: Path, stopped_s: float
) -> None:
    root = plan_little(tmp_path / "EXP", runs_per_shard=6, max_length=8, delay_s=0.1)
    submitting = subprocess.Popen(
        command_line("submit", root, "--workers", "2"),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    leases = root / "jobs" / "leases"
    wait_for(lambda: leases.exists() and any(leases.iterdir()), "a worker's lease")
    submitting.send_signal(signal.SIGSTOP)
    time.sleep(stopped_s)
    second = subprocess.run(
        command_line("submit", root, "--workers", "2"), capture_output=True, text=True, check=False
    )
    assert "Traceback" not in second.stdout + second.stderr
    submitting.send_signal(signal.SIGCONT)
    said, _ = submitting.communicate(timeout=300)
    assert submitting.returncode == 0, said
    assert "Traceback" not in said
    assert not [one for one in verify_experiment(root, ALL, lambda *_: None) if one.findings]
    with panic_hpc.open(root / "dataset.h5") as dataset:
        dataset.file.check_all()
