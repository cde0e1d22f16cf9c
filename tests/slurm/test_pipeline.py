"""The whole pipeline on a real Slurm: after each trouble, the bits of the local executor."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from clusters import (
    kill_processes,
    log_of,
    profile,
    slurm_command,
    states,
    submit,
    wait_until_over,
    wait_until_running,
)
from gating import Gate
from little_experiment import Digests, digests, plan_little, run_command, wait_for

from panic_hpc.workspace.leases import read_lease

pytestmark = pytest.mark.slurm

RUNS = ("--stage", "runs")


def test_a_plain_run_of_the_whole_pipeline(
    slurm: Any, tmp_path: Path, expected_quick: Digests
) -> None:
    root = plan_little(tmp_path / "exp")
    told = submit(root)
    assert "aftercorr" in told
    wait_until_over(root)
    assert digests(root) == expected_quick
    assert (root / "dataset.h5").exists()
    assert "Everything is completed" in run_command("status", root)
    left = [path.suffix for path in (root / "jobs" / "submitit").glob("*/[!.]*")]
    assert left.count(".pkl") == left.count(".out") == 3 + 3 + 1 + 1
    assert len(left) - left.count(".sh") == 16
    wait_for(lambda: not os.listdir(root / "jobs" / "leases"), "the last lease's release")


def test_more_shards_than_an_array_may_have_and_one_that_is_alone(
    slurm: Any, tmp_path: Path
) -> None:
    prompts = [f"the number {k}" for k in range(6)]
    root = plan_little(tmp_path / "exp", prompts=prompts, seeds=[1, 2, 3, 4])
    told = submit(root, "testbed", "runs", "embeddings")
    assert "runs: 11 jobs" in told
    assert "runs: 1 job " in told
    wait_until_over(root)
    whole = plan_little(tmp_path / "whole", 24, prompts=prompts, seeds=[1, 2, 3, 4])
    run_command("submit", whole, "--executor", "inline", *RUNS, "--stage", "embeddings")
    assert digests(root) == digests(whole)


def test_a_killed_worker_is_lost_and_submitted_again(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    victim = wait_until_running(slow)
    kill_processes(victim.job, "submitit.core._submit")
    gate.open()
    wait_until_over(slow)
    assert states(slow, "runs") == ["lost", "completed", "completed"]
    told = run_command("status", slow)
    assert "died" in told
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_a_killed_srun_leaves_a_consistent_state(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    victim = wait_until_running(slow)
    kill_processes(victim.job, "srun")
    gate.open()
    wait_until_over(slow)
    assert states(slow, "runs")[1:] == ["completed", "completed"]
    assert states(slow, "runs")[0] in ("lost", "eligible", "completed")
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_scancel_of_one_element_and_of_the_array(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    one = wait_until_running(slow)
    slurm_command("scancel", one.job)
    gate.open()
    wait_until_over(slow)
    assert states(slow, "runs") == ["eligible", "completed", "completed"]
    lease = read_lease(slow / "jobs" / "leases" / "runs_00000.json")
    assert lease is not None
    assert lease.progress.kind == "stopped"
    gate.close()
    submit(slow, "testbed", "runs")
    again = wait_until_running(slow)
    slurm_command("scancel", again.job.partition("_")[0])
    gate.open()
    wait_until_over(slow)
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_cancel_takes_everything_out_of_the_queue(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs", "embeddings")
    wait_until_running(slow)
    assert "Cancelled" in run_command("cancel", slow, "--yes")
    gate.open()
    wait_until_over(slow)
    assert "lost" not in states(slow, "runs") + states(slow, "embeddings")
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_requeues_without_progress_end_in_a_failure_and_a_longer_walltime_helps(
    slurm: Any, tmp_path: Path, expected_quick: Digests
) -> None:
    """The deadline is so near that no step fits, start after start."""
    near = 'setup = ["export PANIC_HPC_DEADLINE=$(( $(date +%s) + 10 ))"]'
    root = plan_little(tmp_path / "exp")
    submit(root, profile(tmp_path, near), "runs")
    wait_until_over(root)
    assert states(root, "runs") == ["failed"] * 3
    assert "without any progress" in run_command("status", root)
    assert log_of(root).count('"event": "stopped"') == 3
    run_command("retry", root, "--cluster", "testbed", "--yes")
    submit(root)
    wait_until_over(root)
    assert digests(root) == expected_quick


def test_a_requeue_leaves_the_other_elements_of_the_array_alone(
    slurm: Any, slow: Path, tmp_path: Path, expected_slow: Digests
) -> None:
    """The last task's job has the id of the whole array."""
    last = '[ "$SLURM_ARRAY_TASK_ID" != 2 ] || [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]'
    near = f"{last} || export PANIC_HPC_DEADLINE=$(( $(date +%s) + 20 ))"
    submit(slow, profile(tmp_path, f"setup = ['{near}']"), "runs")
    wait_until_over(slow)
    begun = re.findall(r'"begins", .*"shard": "runs_0000(\d)"', log_of(slow))
    assert sorted(begun) == ["0", "1", "2", "2"], log_of(slow)
    assert digests(slow) == expected_slow


def test_a_failing_shard_among_good_ones_then_retry(
    slurm: Any, tmp_path: Path, expected_quick: Digests
) -> None:
    root = plan_little(tmp_path / "exp")
    obstacle = root / "checkpoints" / "runs_00001.journal"
    obstacle.mkdir(parents=True)
    submit(root)
    wait_for(lambda: states(root, "embeddings")[::2] == ["completed"] * 2, "the others", 120)
    wait_for(lambda: states(root, "runs")[1] == "failed", "the failure")
    assert "failed" in run_command("status", root, "--why", "runs_1")
    assert "DependencyNeverSatisfied" in run_command("status", root)
    obstacle.rmdir()
    told = run_command("retry", root, "--cluster", "testbed", "--yes")
    assert "Cancelled" in told
    wait_until_over(root)
    assert not list((root / "failed").iterdir())
    submit(root)
    wait_until_over(root)
    assert digests(root) == expected_quick


def test_held_and_requeued_by_an_administrator(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    one = wait_until_running(slow)
    slurm_command("scontrol", "requeuehold", one.job)
    wait_for(lambda: "held" in run_command("status", slow), "the hold")
    gate.open()
    slurm_command("scontrol", "release", one.job)
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_slurmctld_restarted_while_jobs_run(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    wait_until_running(slow)
    slurm.stop_controller()
    told = run_command("status", slow)
    assert "gave no answer" in told
    assert "lost" not in states(slow, "runs")
    slurm.start_controller()
    gate.open()
    slurm.wait_idle()
    wait_until_over(slow)
    assert digests(slow) == expected_slow
