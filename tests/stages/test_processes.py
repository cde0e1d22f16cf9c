import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from panic_hpc.stages.diagrams.restarting_pool import each


def double(task: int) -> int:
    if task < 0:
        os._exit(9)
    return 2 * task


def always() -> bool:
    """Let every task begin."""
    return True


def nothing() -> None:
    """Ask for nothing while tasks run."""


@pytest.mark.parametrize("n_processes", [1, 2])
def test_every_task_has_its_result(n_processes: int) -> None:
    assert sorted(each(double, range(20), n_processes, always, nothing)) == [
        (n, 2 * n) for n in range(20)
    ]


def test_a_task_that_kills_its_process_is_the_only_one_lost() -> None:
    found = dict(each(double, [1, 2, -1, 3, 4, -2, 5], 2, always, nothing))
    assert found == {1: 2, 2: 4, -1: None, 3: 6, 4: 8, -2: None, 5: 10}


def test_tasks_are_read_only_when_they_are_about_to_begin() -> None:
    read: list[int] = []

    def tasks() -> "object":
        for task in range(100):
            read.append(task)
            yield task

    results = each(double, tasks(), 2, always, nothing)  # type: ignore[arg-type]
    next(results)
    assert len(read) <= 4
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("n_processes", [1, 2])
def test_once_no_more_may_begin_those_that_run_are_still_yielded(n_processes: int) -> None:
    answers = iter([True, True, True, False])
    found = list(each(double, range(100), n_processes, lambda: next(answers), nothing))
    assert sorted(found) == [(0, 0), (1, 2), (2, 4)]


def test_a_pool_that_was_killed_with_its_parent_s_job_is_not_worked_off_again() -> None:
    answers = iter([True, True, True, False])
    found = dict(each(double, [-1, 2, 3, 4, 5, 6], 2, lambda: next(answers), nothing))
    assert set(found) <= {2, 3}


def test_what_is_raised_meanwhile_kills_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("PID_FILE", str(pid_file))

    def stop() -> None:
        if pid_file.exists() and pid_file.read_text():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(each(wait_for_a_minute, [1], 2, always, stop))
    wait_for_the_end_of(pid_file.read_text())


def wait_for_a_minute(task: int) -> None:
    Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
    time.sleep(60)


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = tmp_path / "parent.py"
    script.write_text(
        "from test_processes import always, each, nothing, wait_for_a_minute\n"
        "if __name__ == '__main__':\n"
        "    list(each(wait_for_a_minute, [1], 2, always, nothing))\n"
    )
    environ = {**os.environ, "PID_FILE": str(pid_file), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(script)], env=environ) as parent:
        while not pid_file.exists() or not pid_file.read_text():
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    wait_for_the_end_of(pid_file.read_text())


def wait_for_the_end_of(pid: str) -> None:
    status = Path(f"/proc/{pid}/status")
    with suppress(FileNotFoundError, ProcessLookupError):
        while "\nState:\tZ" not in status.read_text():
            time.sleep(0.02)
