"""The testbed behaves like the cluster that it stands for."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from little_experiment import wait_for

pytestmark = pytest.mark.slurm


def sbatch(slurm: Any, script: str, *options: str, user: str | None = None) -> str:
    return slurm.run("sbatch", "--parsable", *options, "--wrap", script, user=user).strip()


def states(slurm: Any, job: str) -> list[str]:
    return slurm.run("squeue", "-t", "all", "-h", "-j", job, "-o", "%T").split()


def wait(condition: Callable[[], bool]) -> None:
    wait_for(condition, "it")


def finished(slurm: Any, job: str) -> bool:
    return not set(states(slurm, job)) & {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}


def test_tasks_of_an_array_see_one_gpu_each(slurm: Any, shared_directory: Path) -> None:
    # None ends before all have begun: a GPU that is given back would be given again.
    all_begun = f"until [ $(ls {shared_directory} | wc -l) = 4 ]; do sleep 0.1; done"
    job = sbatch(
        slurm, f"echo $SLURM_ARRAY_TASK_ID $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES; {all_begun}",
        "--array=0-3", "--gpus-per-node=a100:1", "--mem=100M", f"--output={shared_directory}/%a",
    )  # fmt: skip
    wait(lambda: finished(slurm, job))
    seen = [(shared_directory / str(task)).read_text().split()[1:] for task in range(4)]
    assert sorted(seen) == [["g1", "0"], ["g1", "1"], ["g2", "0"], ["g2", "1"]]


def test_a_task_that_exceeds_its_memory_is_killed(slurm: Any, shared_directory: Path) -> None:
    greedy = "python3 -c 'import time; held = bytearray(600 << 20); time.sleep(600)'"
    job = sbatch(slurm, greedy, "--partition=fat", "--mem=100M", f"--output={shared_directory}/log")
    wait(lambda: finished(slurm, job))
    assert states(slurm, job) != ["COMPLETED"]
    assert "exceeded memory limit" in (shared_directory / "log").read_text()


def test_array_indices_end_below_max_array_size(slurm: Any) -> None:
    sbatch(slurm, "true", "--array=0-10", "--output=/dev/null")
    with pytest.raises(RuntimeError, match="Invalid job array specification"):
        sbatch(slurm, "true", "--array=0-11", "--output=/dev/null")


def test_a_requeued_job_starts_again_soon(slurm: Any, shared_directory: Path) -> None:
    script = 'echo "$SLURM_RESTART_COUNT" >> log; [ "$SLURM_RESTART_COUNT" = 1 ] || sleep 600'
    job = sbatch(slurm, script, "--requeue", f"--chdir={shared_directory}", "--output=/dev/null")
    wait(lambda: (shared_directory / "log").exists())
    slurm.run("scontrol", "requeue", job)
    wait(lambda: states(slurm, job) == ["COMPLETED"])
    assert (shared_directory / "log").read_text() == "\n1\n"


def until_told(directory: Path) -> str:
    """Return a script that ends once a file `end` is in a directory."""
    return f"until [ -e {directory}/end ]; do sleep 0.1; done"


def test_jobs_survive_the_death_of_their_nodes_slurmd(slurm: Any, shared_directory: Path) -> None:
    job = sbatch(slurm, until_told(shared_directory), "--nodelist=g1", "--output=/dev/null")
    wait(lambda: states(slurm, job) == ["RUNNING"])
    slurm.kill_node("g1")
    slurm.start_node("g1")
    slurm.wait_idle()
    (shared_directory / "end").touch()
    wait(lambda: states(slurm, job) == ["COMPLETED"])


def test_jobs_survive_a_restart_of_the_controller(slurm: Any, shared_directory: Path) -> None:
    job = sbatch(slurm, until_told(shared_directory), "--output=/dev/null")
    wait(lambda: states(slurm, job) == ["RUNNING"])
    slurm.stop_controller()
    slurm.start_controller()
    slurm.wait_idle()
    (shared_directory / "end").touch()
    wait(lambda: states(slurm, job) == ["COMPLETED"])


def test_a_controller_that_was_left_down_comes_back(slurm: Any) -> None:
    slurm.stop_controller()
    slurm.bring_back_controller()
    assert slurm.run("sinfo", "-h")


def test_jobs_run_as_the_user_who_submitted_them(slurm: Any, shared_directory: Path) -> None:
    jobs = {
        user: sbatch(slurm, "id -un", f"--output={shared_directory}/{user}", user=user)
        for user in ("games", "news")
    }
    for user, job in jobs.items():
        wait(functools.partial(finished, slurm, job))
        assert (shared_directory / user).read_text().strip() == user


def test_sacct_is_refused_without_accounting(slurm: Any) -> None:
    with pytest.raises(RuntimeError, match="accounting storage is disabled"):
        slurm.run("sacct")


def test_sacct_knows_a_job_with_accounting(accounting_slurm: Any) -> None:
    job = sbatch(accounting_slurm, "exit 3", "--output=/dev/null", user="games")

    def row() -> str:
        return accounting_slurm.run("sacct", "-n", "-X", "-P", "-j", job, "-o", "State,ExitCode")

    wait(lambda: row().strip() == "FAILED|3:0")


def test_two_testbeds_side_by_side_and_nothing_left_behind(start_slurm: Any) -> None:
    first, second = start_slurm(max_array_size=5), start_slurm(max_array_size=7)
    sbatch(first, "sleep 300", "--output=/dev/null")
    other = sbatch(second, "sleep 300", "--output=/dev/null")
    wait(lambda: states(second, other) == ["RUNNING"])
    first.stop()
    assert not first.directory.exists()
    assert states(second, other) == ["RUNNING"]
    assert _processes_that_mention(str(first.directory)) == []


def _processes_that_mention(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marks = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in marks and int(process.name) != os.getpid():
            found.append(process.name)
    return found
