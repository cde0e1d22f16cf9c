"""submit on this machine: real processes, killed and interrupted, end in the same bits."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gating import Gate
from little_experiment import (
    command_line,
    digests,
    kill_workers,
    plan_little,
    run_command,
    wait_for,
    workers_of,
)

from panic_hpc.backends.local.backend import worker_environment
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.workspace.leases import read_lease
from panic_hpc.workspace.ledger import read_ledger

STAGE = ("--stage", "runs")
SLOW_S = 0.25


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, bytes], bytes]:
    """What the runs of the slow experiment come to, worked on in one process as one shard."""
    root = plan_little(tmp_path_factory.mktemp("expected"), runs_per_shard=6, delay_s=SLOW_S)
    run_command("submit", root, "--executor", "inline", *STAGE)
    return digests(root)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Path]:
    """Three shards of some three seconds each."""
    yield plan_little(tmp_path, delay_s=SLOW_S)
    kill_workers(tmp_path)


def running(root: Path) -> bool:
    """Whether some worker has finished a step."""
    leases = (root / "jobs" / "leases").glob("[!.]*.json")
    return any(lease.progress.done > 0 for path in leases if (lease := read_lease(path)))


def test_two_workers_do_each_shard_once_and_leave_nothing_behind(
    slow: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    printed = run_command("submit", slow, "--workers", "2", *STAGE)
    assert "3 completed" in printed
    assert digests(slow) == expected
    assert os.listdir(slow / "jobs" / "leases") == []
    logs = "".join(path.read_text() for path in slow.glob("jobs/submitit/*/*_log.out"))
    assert logs.count('"event": "completed"') == 3
    assert list(slow.glob("jobs/submitit/*/*result*")) == []


def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(
    gate: Gate, slow: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    with subprocess.Popen(
        command_line("submit", slow, "--workers", "2", *STAGE),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as driver:
        wait_for(lambda: running(slow), "a step")
        os.killpg(driver.pid, signal.SIGINT)
        _, complaint = driver.communicate(timeout=180)
    assert driver.returncode == 85, complaint
    assert "same command" in complaint
    assert workers_of(slow) == []
    assert list((slow / "checkpoints").glob("*.journal"))
    assert "eligible" in run_command("status", slow)
    gate.open()
    run_command("submit", slow, "--workers", "2", *STAGE)
    assert digests(slow) == expected


def test_killed_workers_are_replaced(
    gate: Gate, slow: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    with subprocess.Popen(command_line("submit", slow, "--workers", "2", *STAGE)) as driver:
        wait_for(lambda: running(slow), "a step")
        assert kill_workers(slow) > 0
        gate.open()
        assert driver.wait(timeout=240) == 0
    assert digests(slow) == expected


def test_workers_whose_driver_was_killed_stop_and_submit_goes_on(
    gate: Gate, slow: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    with subprocess.Popen(command_line("submit", slow, "--workers", "2", *STAGE)) as driver:
        wait_for(lambda: running(slow), "a step")
        driver.kill()
    gate.open()
    wait_for(lambda: not workers_of(slow), "the workers' end")
    run_command("submit", slow, "--workers", "2", *STAGE)
    assert digests(slow) == expected


def test_two_submits_at_once_share_the_work(
    slow: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    command = command_line("submit", slow, "--workers", "1", *STAGE)
    drivers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [driver.wait(timeout=240) for driver in drivers] == [0, 0]
    logs = "".join(path.read_text() for path in slow.glob("jobs/submitit/*/*_log.out"))
    assert logs.count('"event": "begins"') == 3
    assert digests(slow) == expected


@pytest.mark.programs("strace")
def test_one_owner_a_shard_where_the_file_system_has_no_flock(
    slow: Path, tmp_path: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    """Every flock of two submissions and their workers is refused, as some Lustre mounts do."""
    refused = [tmp_path / f"strace.{number}" for number in range(2)]
    options = ("-f", "-qq", "--seccomp-bpf", "-e", "trace=flock", "-e", "inject=flock:error=ENOSYS")
    command = command_line("submit", slow, "--workers", "2", *STAGE)
    drivers = [
        subprocess.Popen(["strace", *options, "-o", log, *command], stdout=subprocess.DEVNULL)
        for log in refused
    ]
    assert [driver.wait(timeout=240) for driver in drivers] == [0, 0]
    logs = "".join(path.read_text() for path in slow.glob("jobs/submitit/*/*_log.out"))
    assert logs.count('"event": "begins"') == 3
    assert digests(slow) == expected


def test_stop_ends_a_submission_and_is_forgotten_by_the_next(
    gate: Gate, slow: Path, expected: dict[tuple[str, str, bytes], bytes]
) -> None:
    with subprocess.Popen(
        command_line("submit", slow, "--workers", "1", *STAGE), stderr=subprocess.PIPE, text=True
    ) as driver:
        wait_for(lambda: running(slow), "a step")
        run_command("stop", slow, "--after-checkpoint")
        gate.open()
        _, complaint = driver.communicate(timeout=180)
    assert driver.returncode == 85, complaint
    run_command("submit", slow, *STAGE)
    assert digests(slow) == expected


def test_status_in_numbers_and_why(slow: Path) -> None:
    found = json.loads(run_command("status", slow, "--json"))
    assert found["stages"]["runs"] == {"eligible": 3}
    assert found["complete"] is False
    told = run_command("status", slow, "--why", "runs_1")
    assert "runs_00001 is eligible" in told
    assert str(slow / "shards" / "runs" / "runs_00001.h5") in told
    other = plan_little(slow.parent / "other", prompts=["else"])
    run_command("submit", other, "--executor", "inline", *STAGE)
    foreign = slow / "shards" / "runs" / "runs_00001.h5"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes((other / "shards" / "runs" / "runs_00000.h5").read_bytes())
    assert "there, but:" in run_command("status", slow, "--why", "runs_1")
    assert "names no shard" in run_command("status", slow, "--why", "sprints_1", code=1)
    assert "There is no runs_7" in run_command("status", slow, "--why", "runs_7", code=1)


def test_a_worker_of_another_version_leaves_word(slow: Path) -> None:
    code = "import sys; from panic_hpc.worker.array_task import run_array_task as r; "
    code += "r(sys.argv[1], 'runs', [1], {'submission': 's', 'of_the_future': 1})"
    done = subprocess.run([sys.executable, "-c", code, slow], check=False, timeout=240)
    assert done.returncode == 1
    told = run_command("status", slow, "--why", "runs_1")
    assert "does not understand what the one that submitted it said" in told


def test_workers_that_cannot_start_are_not_started_for_ever(tmp_path: Path) -> None:
    root = plan_little(tmp_path)
    environment = {
        **os.environ,
        "PANIC_HPC_DEVICE": "no-such-device",
        "SUBMITIT_PREEMPT_SIGNAL": "?",
    }
    told = run_command("submit", root, "--workers", "1", *STAGE, code=1, env=environment)
    assert "without doing anything" in told


def test_a_profile_of_this_machine_says_how_many_workers(tmp_path: Path) -> None:
    root = plan_little(tmp_path / "exp", runs_per_shard=2, seeds=[1, 2, 3, 4])
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nscheduler = "local"\nworkers = 3\n[environment]\nMARK = "1"\n')
    told = run_command("submit", root, "--cluster", own, "--stage", "runs", "--dry-run")
    assert told == "runs: 6 eligible\n"
    run_command("submit", root, "--cluster", own, "--stage", "runs")
    assert len(list(root.glob("jobs/submitit/*-runs/*_log.out"))) == 3
    (submission,) = read_ledger(root / "jobs" / "ledger")
    assert (submission.executor, submission.cluster, submission.outcome) == (
        "local", "own", "finished",
    )  # fmt: skip


def test_what_only_jobs_have_is_refused_here(tmp_path: Path) -> None:
    root = plan_little(tmp_path / "exp")
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nscheduler = "local"\nmodules = ["rocm"]\n[container]\n')
    told = run_command("submit", root, "--cluster", own, code=1)
    assert "has container, modules, and its scheduler is local" in told
    assert "--image is for jobs" in run_command("submit", root, "--image", "x.sif", code=1)


def test_workers_get_the_profiles_variables_and_caches() -> None:
    cluster = Cluster.model_validate(
        {"name": "own", "environment": {"MARK": "1"}, "paths": {"cache": "/scratch/cache"}}
    )
    variables = worker_environment(cluster, threads=2)
    assert variables["MARK"] == "1"
    assert variables["HF_HOME"] == "/scratch/cache/huggingface"
    assert variables["OMP_NUM_THREADS"] == "2"


def test_work_in_this_process_leaves_its_log_and_prints_no_events(tmp_path: Path) -> None:
    root = plan_little(tmp_path)
    told = run_command("submit", root, "--executor", "inline", *STAGE)
    assert "panic-hpc-event" not in told
    assert '"event": "completed"' in run_command("logs", "runs_1", root)
