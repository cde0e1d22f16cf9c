"""Rarer troubles on a real Slurm: walltimes, memory, purged jobs, several users, accounting."""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clusters import (
    SLOW_S,
    kill_processes,
    log_of,
    profile,
    states,
    submit,
    wait_until_over,
    wait_until_running,
)
from gating import Gate
from little_experiment import (
    Digests,
    command_line,
    digests,
    plan_little,
    run_command,
    wait_for,
)

from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.store.format.shard import open_shard

pytestmark = pytest.mark.slurm

RUNS = ("--stage", "runs")
FAST_AND_SLOW: dict[str, Any] = {
    "networks": [["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T2"]],
    "prompts": ["a red apple"],
    "models": {
        "DummyT2I": {"batch_size": 2},
        "DummyI2T": {"batch_size": 2},
        "DummyT2I2": {"batch_size": 2, "delay_s": 8.0},
        "DummyI2T2": {"batch_size": 2, "delay_s": 8.0},
    },
}


def test_two_shards_share_a_node_and_only_the_slow_one_is_requeued_again_and_again(
    slurm: Any, tmp_path: Path
) -> None:
    """The walltime is Slurm's own: a minute, the shortest there is, for a shard of 96 s."""
    text = "[stages.runs]\nshards_per_job = 2\nwalltime_min = 1\n"
    root = plan_little(tmp_path / "exp", **FAST_AND_SLOW)
    whole = plan_little(tmp_path / "whole", 24, **FAST_AND_SLOW)
    submit(root, profile(tmp_path, text), "runs")
    with subprocess.Popen(command_line("submit", whole, "--workers", "2", *RUNS)) as local:
        wait_until_over(root, 280)
    assert local.returncode == 0
    assert digests(root) == digests(whole)
    log = log_of(root)
    assert log.count('"event": "completed", ') == 2
    assert log.count('"event": "stopped", ') >= 2
    assert gpus_of(root) == {"0", "1"}


def gpus_of(root: Path) -> set[str]:
    """Return what CUDA_VISIBLE_DEVICES was for each runs shard."""
    from panic_hpc import installed

    plan, paths = manifest.read(root), ExperimentPaths(root)
    found = set()
    for shard in installed.plugins("stages")["runs"].shards(plan):
        with open_shard(paths.shard(shard), manifest_key=plan.key) as file:
            found.add(file.header["provenance"]["cuda_visible_devices"])
    return found


def test_a_task_that_exceeds_its_memory_gets_more_on_retry(
    slurm: Any, slow: Path, tmp_path: Path, expected_slow: Digests
) -> None:
    root = slow
    tight = profile(tmp_path, "[stages.runs]\nmem_gb = 0.07\n")
    submit(root, tight, "runs")
    wait_until_over(root)
    assert states(root, "runs") == ["lost"] * 3
    told = run_command("retry", root, "--cluster", tight, "--yes", *RUNS)
    assert "runs: 3 jobs" in told
    assert "Left out" not in told
    wait_until_over(root)
    assert digests(root) == expected_slow
    script = max(root.glob("jobs/submitit/*/*_submission.sh"), key=lambda path: path.parent.name)
    assert "--mem=143M" in script.read_text()


def test_jobs_that_slurm_has_forgotten(
    start_slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    start_slurm(min_job_age_s=2)
    root = slow
    submit(root, "testbed", "runs")
    victim = wait_until_running(root)
    kill_processes(victim.job, "submitit.core._submit")
    gate.open()
    wait_until_over(root)
    wait_for(lambda: queue_is_empty(), "Slurm to forget", 120)
    assert states(root, "runs") == ["lost", "completed", "completed"]
    submit(root, "testbed", "runs")
    wait_until_over(root)
    assert digests(root) == expected_slow


def queue_is_empty() -> bool:
    """Whether squeue knows no job at all any more, ended ones included."""
    done = subprocess.run(["squeue", "-h", "--states=all"], capture_output=True, check=True)
    return not done.stdout


def test_usage_with_and_without_accounting(
    accounting_slurm: Any,
    shared_slurm: Any,
    slow: Path,
    expected_slow: Digests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, began = slow, time.monotonic()
    submit(root, "testbed", "runs")
    wait_until_over(root)
    took = time.monotonic() - began
    assert digests(root) == expected_slow

    def accounted() -> Any:
        (row,) = json.loads(run_command("status", root, "--usage", "--json"))
        return row if row["slurm_hours"] else None

    row = wait_for(accounted, "sacct to know of the jobs")
    assert row["stage"] == "runs"
    assert row["shards"] == 3
    # Three shards slept for six seconds each.
    assert 15 / 3600 < row["hours"] < 3 * took / 3600
    assert row["hours"] == pytest.approx(row["gpu_hours"])
    assert row["asked_hours"] == pytest.approx(3 * 5 / 60)
    assert row["asked_gpu_hours"] == pytest.approx(3 * 5 / 60)
    assert row["slurm_hours"] > row["hours"] / 2
    assert row["peak_gb"] > 0.03
    told = run_command("status", root, "--usage")
    assert "sacct says" in told
    assert max(map(len, told.splitlines())) <= 80
    monkeypatch.setenv("SLURM_CONF", str(shared_slurm.conf))
    (alone,) = json.loads(run_command("status", root, "--usage", "--json"))
    assert alone["slurm_hours"] is None
    assert alone["hours"] == row["hours"]


def as_user(name: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command of ours as another user of the group that shares the experiment."""
    interpreter = shutil.which("python3.11", path="/usr/bin") or sys.executable
    path = os.pathsep.join(part for part in sys.path if part and "pyenv" not in part)
    return subprocess.Popen(
        [interpreter, "-m", "panic_hpc", *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "HOME": "/nonexistent",
            "USER": name,
            "LOGNAME": name,
        },
        cwd="/",
        user=pwd.getpwnam(name).pw_uid,
        group="users",
        extra_groups=[],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def shared_by_a_group(directory: Path, runs_per_shard: int) -> Path:
    """Plan the slow experiment in a directory that a group of users works in."""
    root = plan_little(directory / "exp", runs_per_shard, delay_s=SLOW_S)
    for path in (root, *root.iterdir()):
        shutil.chown(path, "games", "users")
    root.chmod(0o2775)
    return root


def test_two_users_submit_at_once_and_no_shard_is_worked_on_twice(
    slurm: Any, shared_directory: Path, expected_slow: Digests
) -> None:
    root = shared_by_a_group(shared_directory, 2)
    submits = [
        as_user(name, "submit", root, "--cluster", "testbed", "--yes", *RUNS)
        for name in ("games", "news")
    ]
    told = [process.communicate(timeout=240)[0] for process in submits]
    codes = [process.returncode for process in submits]
    assert 0 in codes, told
    for code, words in zip(codes, told, strict=True):
        assert code == 0 or "is submitting this experiment now" in words, words
    later = as_user("news", "submit", root, "--cluster", "testbed", "--yes", *RUNS)
    assert "Nothing was submitted" in later.communicate(timeout=240)[0]
    wait_until_over(root)
    assert digests(root) == expected_slow, log_of(root)
    begun = re.findall(r'"event": "begins", .*"shard": "(\w+)"', log_of(root))
    assert sorted(begun) == ["runs_00000", "runs_00001", "runs_00002"]
    folders = list((root / "jobs" / "submitit").iterdir())
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}


def test_the_other_user_goes_on_where_the_first_was_stopped(
    slurm: Any, shared_directory: Path, expected_slow: Digests
) -> None:
    root = shared_by_a_group(shared_directory, 6)
    first = as_user("games", "submit", root, "--cluster", "testbed", "--yes", *RUNS)
    told, _ = first.communicate(timeout=240)
    assert first.returncode == 0, told
    wait_until_running(root)
    run_command("cancel", root, "--yes")
    wait_until_over(root)
    second = as_user("news", "submit", root, "--cluster", "testbed", "--yes", *RUNS)
    told, _ = second.communicate(timeout=240)
    assert second.returncode == 0, told
    wait_until_over(root)
    assert digests(root) == expected_slow, log_of(root)
