"""Nodes that die, come back, or spoil whatever runs on them; and what a job leaves on disk."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from clusters import (
    SLOW_S,
    log_of,
    processes,
    profile,
    slurm_command,
    states,
    submit,
    wait_until_over,
    wait_until_running,
)
from gating import Gate
from little_experiment import Digests, digests, plan_little, run_command, wait_for

pytestmark = pytest.mark.slurm


def test_a_killed_slurmd_comes_back(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    submit(slow, "testbed", "runs")
    wait_until_running(slow)
    for node in ("g1", "g2"):
        slurm.kill_node(node)
        slurm.start_node(node)
    slurm.wait_idle()
    gate.open()
    wait_until_over(slow)
    submit(slow, "testbed", "runs")
    wait_until_over(slow)
    assert digests(slow) == expected_slow


def test_a_node_is_given_up_while_its_worker_goes_on_and_comes_back(
    slurm: Any, gate: Gate, tmp_path: Path, expected_slow: Digests
) -> None:
    """What Slurm takes for dead may only be cut off: for a while a shard has two workers."""
    root = plan_little(tmp_path / "exp", runs_per_shard=6, delay_s=SLOW_S)
    # Three batches a step: of four steps one is recorded.
    gate.let_through(14)
    submit(root, "testbed", "runs")
    first = wait_until_running(root)
    node = slurm_command("squeue", "--noheader", "-j", first.job, "-o", "%N").strip()
    slurm.kill_node(node)
    # Else the first may have done everything before Slurm begins anew: on a busy machine it has.
    # Not its srun, which would cancel the step of that number, by then the second attempt's.
    with suspended(pythons(processes(first.job, "_submit"))):
        slurm_command("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        wait_for(lambda: log_of(root).count('"event": "begins"') == 2, "the second attempt")
    gate.open()
    slurm.start_node(node)
    slurm.wait_idle()
    wait_until_over(root)
    assert states(root, "runs") == ["completed"], log_of(root)
    assert digests(root) == expected_slow


def pythons(pids: list[int]) -> list[int]:
    """Return those of `pids` that are workers, not what starts them."""
    return [pid for pid in pids if Path(f"/proc/{pid}/exe").resolve().name.startswith("python")]


@contextmanager
def suspended(pids: list[int]) -> Iterator[None]:
    """Let these processes stand still meanwhile."""
    assert pids
    # Held open, so that no stranger who is given the pid of one that ended is woken.
    held = [os.pidfd_open(pid) for pid in pids]
    for process in held:
        signal.pidfd_send_signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in held:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGCONT)
            os.close(process)


BROKEN_DISK = "ulimit -f 1"
BROKEN_MOUNT = "cd {absent} || exit 1"


@pytest.mark.parametrize("trouble", [BROKEN_DISK, BROKEN_MOUNT])
def test_a_node_that_spoils_everything_is_left_out_by_retry(
    slurm: Any, tmp_path: Path, expected_quick: Digests, trouble: str
) -> None:
    """On the disk workers fail and say why; without the mount jobs end before they say a word."""
    root = plan_little(tmp_path / "exp")
    trouble = trouble.format(absent=tmp_path / "absent")
    waits = f"until [ -e {tmp_path}/all ]; do sleep 0.2; done"
    spoilt = f"""setup = ['[ "$SLURMD_NODENAME" != g1 ] || {{ {waits}; {trouble}; }}']"""
    # Two shards have it, and the third the other one, whatever Slurm would rather do.
    slurm.run("scontrol", "update", "nodename=g2", "state=drain", "reason=test")
    submit(root, profile(tmp_path, spoilt), "runs")
    wait_for(lambda: jobs_on("g1") == 2, "two jobs on the node")
    slurm.run("scontrol", "update", "nodename=g2", "state=resume")
    wait_for(lambda: states(root, "runs")[2] == "completed", "the third")
    (tmp_path / "all").touch()
    wait_until_over(root)
    assert not set(states(root, "runs")[:2]) - {"failed", "lost"}
    told = run_command("retry", root, "--cluster", tmp_path / "profile.toml", "--yes")
    assert "Left out, because shards failed there repeatedly: g1" in told
    wait_until_over(root)
    submit(root)
    wait_until_over(root)
    assert digests(root) == expected_quick


def jobs_on(node: str) -> int:
    """Return how many jobs run on a node."""
    return len(slurm_command("squeue", "--noheader", "-w", node, "-t", "running").splitlines())


def test_a_shard_has_four_small_files_while_it_runs_and_two_afterwards(
    slurm: Any, gate: Gate, slow: Path, expected_slow: Digests
) -> None:
    planned = small_files(slow)
    submit(slow, "testbed", "runs")
    for index in range(3):
        wait_until_running(slow, "runs", index)
    for _ in range(20):
        seen = small_files(slow) - planned
        assert len(seen) <= 3 * 4, seen
        time.sleep(0.05)
    gate.open()
    wait_until_over(slow)
    wait_for(lambda: not os.listdir(slow / "jobs" / "leases"), "the last lease's release")
    assert len(small_files(slow) - planned) == 3 * 2, small_files(slow) - planned
    assert digests(slow) == expected_slow


def small_files(root: Path) -> set[Path]:
    """Return an experiment's files but for results, and for the few of a whole submission."""
    return {
        path
        for path in root.rglob("*")
        if not (path.is_dir() or path.suffix in (".h5", ".sh") or path.parent.name == "ledger")
    }
