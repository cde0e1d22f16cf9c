import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from panic_hpc.stages.persistence.processes import each


def double(task: int) -> int:
    if task < 0:
        os._exit(9)
    return 2 * task


def nothing() -> None:
    """Ask for nothing before a task."""


@pytest.mark.parametrize("n_processes", [1, 2])
def test_every_task_has_its_result(n_processes: int) -> None:
    assert sorted(each(double, range(20), n_processes, nothing)) == [(n, 2 * n) for n in range(20)]


def test_a_task_that_kills_its_process_is_the_only_one_lost() -> None:
    found = dict(each(double, [1, 2, -1, 3, 4, -2, 5], 2, nothing))
    assert found == {1: 2, 2: 4, -1: None, 3: 6, 4: 8, -2: None, 5: 10}


def test_tasks_are_read_only_when_they_are_about_to_begin() -> None:
    read: list[int] = []

    def tasks() -> "object":
        for task in range(100):
            read.append(task)
            yield task

    results = each(double, tasks(), 2, nothing)  # type: ignore[arg-type]
    next(results)
    assert len(read) <= 4
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("tasks", [[1, 2, 3, 4, 5, 6], [-1, 2, 3, 4, 5, 6]])
def test_what_is_asked_before_a_task_ends_the_work(tasks: list[int]) -> None:
    """A pool that was killed together with its parent's job must not be worked off again."""
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(each(double, tasks, 2, stop))
    assert asked == 5


def wait_for_a_minute(task: int) -> None:
    Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
    time.sleep(60)


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = tmp_path / "parent.py"
    script.write_text(
        "from test_processes import each, nothing, wait_for_a_minute\n"
        "if __name__ == '__main__':\n"
        "    list(each(wait_for_a_minute, [1], 2, nothing))\n"
    )
    environ = {**os.environ, "PID_FILE": str(pid_file), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(script)], env=environ) as parent:
        while not pid_file.exists() or not pid_file.read_text():
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    child = Path(f"/proc/{pid_file.read_text()}")
    while child.exists() and "\nState:\tZ" not in (child / "status").read_text():
        time.sleep(0.02)
