"""The whole pipeline on a real Slurm: after each trouble, the bits of the local executor."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from clusters import (
    log_of,
    processes,
    profile,
    slurm_command,
    states,
    submit,
    wait_until_over,
    wait_until_running,
)
from little_experiment import digests, plan_little, run_command, wait_for

from panic_hpc.execution.claims import read_claim

pytestmark = pytest.mark.slurm

Digests = dict[tuple[str, str, bytes], bytes]
SLOW_S = 0.5
RUNS = ("--stage", "runs")


@pytest.fixture(scope="session")
def expected_quick(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """Everything about the quick experiment, worked on in one process."""
    root = plan_little(tmp_path_factory.mktemp("quick"), runs_per_shard=6)
    run_command("submit", root, "--executor", "inline")
    return digests(root)


@pytest.fixture(scope="session")
def expected_slow(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """The runs of the slow experiment, worked on in one process."""
    root = plan_little(tmp_path_factory.mktemp("slow"), runs_per_shard=6, delay_s=SLOW_S)
    run_command("submit", root, "--executor", "inline", *RUNS)
    return digests(root)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Three shards of six seconds each."""
    return plan_little(tmp_path / "slow", delay_s=SLOW_S)


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
    wait_for(lambda: not os.listdir(root / "jobs" / "claims"), "the last claim's release")


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
    slurm: Any, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    victim = wait_until_running(slow)
    for pid in processes(victim.job, "submitit.core._submit"):
        os.kill(pid, signal.SIGKILL)
    wait_until_over(slow)
    assert states(slow, "runs") == ["lost", "completed", "completed"]
    told = run_command("status", slow)
    assert "died" in told
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_a_killed_srun_leaves_a_consistent_state(
    slurm: Any, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    victim = wait_until_running(slow)
    for pid in processes(victim.job, "srun"):
        os.kill(pid, signal.SIGKILL)
    wait_until_over(slow)
    assert states(slow, "runs")[1:] == ["completed", "completed"]
    assert states(slow, "runs")[0] in ("lost", "eligible", "completed")
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_scancel_of_one_element_and_of_the_array(
    slurm: Any, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    one = wait_until_running(slow)
    slurm_command("scancel", one.job)
    wait_until_over(slow)
    assert states(slow, "runs") == ["eligible", "completed", "completed"]
    claim = read_claim(slow / "jobs" / "claims" / "runs_00000.json")
    assert claim is not None
    assert claim.progress.kind == "stopped"
    submit(slow, "testbed", "runs")
    again = wait_until_running(slow)
    slurm_command("scancel", again.job.partition("_")[0])
    wait_until_over(slow)
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_cancel_takes_everything_out_of_the_queue(
    slurm: Any, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs", "embeddings")
    wait_until_running(slow)
    assert "Cancelled" in run_command("cancel", slow, "--yes")
    wait_until_over(slow)
    assert "lost" not in states(slow, "runs") + states(slow, "embeddings")
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_several_requeues_in_a_row(slurm: Any, tmp_path: Path) -> None:
    """Fifteen seconds a time, start included, for a shard of thirty-six."""
    apple: dict[str, Any] = {"prompts": ["a red apple"]}
    root = plan_little(tmp_path / "exp", delay_s=3.0, **apple)
    short = 'setup = ["export PANIC_HPC_DEADLINE=$(( $(date +%s) + 30 ))"]'
    submit(root, profile(tmp_path, short), "runs")
    wait_until_over(root)
    quick = plan_little(tmp_path / "quick", **apple)
    run_command("submit", quick, "--executor", "inline", *RUNS)
    assert sorted(digests(root).values()) == sorted(digests(quick).values())
    assert log_of(root).count('"event": "stopped"') >= 2


def test_requeues_without_progress_end_in_a_failure(slurm: Any, tmp_path: Path) -> None:
    short = 'setup = ["export PANIC_HPC_DEADLINE=$(( $(date +%s) + 16 ))"]'
    root = plan_little(tmp_path / "stuck", runs_per_shard=6, delay_s=3.0)
    submit(root, profile(tmp_path, short), "runs")
    wait_until_over(root)
    assert states(root, "runs") == ["failed"]
    assert "without any progress" in run_command("status", root)


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
    slurm: Any, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    one = wait_until_running(slow)
    slurm_command("scontrol", "requeuehold", one.job)
    wait_for(lambda: "held" in run_command("status", slow), "the hold")
    slurm_command("scontrol", "release", one.job)
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_slurmctld_restarted_while_jobs_run(slurm: Any, slow: Path, expected_slow: Digests) -> None:
    submit(slow, "testbed", "runs")
    wait_until_running(slow)
    slurm.stop_controller()
    told = run_command("status", slow)
    assert "gave no answer" in told
    assert "lost" not in states(slow, "runs")
    slurm.start_controller()
    slurm.wait_idle()
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_a_killed_slurmd_comes_back(slurm: Any, slow: Path, expected_slow: Digests) -> None:
    submit(slow, "testbed", "runs")
    wait_until_running(slow)
    for node in ("g1", "g2"):
        slurm.kill_node(node)
        slurm.start_node(node)
    slurm.wait_idle()
    wait_until_over(slow)
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow
