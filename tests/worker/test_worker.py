"""The worker: what is recorded after each way a shard can end."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from panic_hpc import clock
from panic_hpc.errors import ConflictError, Interrupted
from panic_hpc.worker import stopper
from panic_hpc.worker import worker as worker_module
from panic_hpc.worker.stopper import write_halt
from panic_hpc.worker.worker import Worker, WorkerOptions, exit_code
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.leases import read_lease, take
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.workspace import Workspace

ALL = range(4)


def outcomes(
    counted: Workspace, stage: str, indices: Any = ALL, submission: str = "s"
) -> list[str]:
    return list(Worker(counted, WorkerOptions(submission)).run(stage, indices))


def shard(counted: Workspace, stage: str, index: int) -> Any:
    return counted.shards(stage)[index]


def test_every_shard_is_worked_on_once_and_nothing_small_is_left(counted: Workspace) -> None:
    assert outcomes(counted, "runs") == ["completed"] * 4
    assert outcomes(counted, "runs") == ["completed"] * 4
    assert counted.stages["runs"].executed == [0, 1, 2, 3]  # type: ignore[attr-defined]
    assert os.listdir(counted.paths.leases) == []
    assert not counted.paths.failed.exists()


def test_a_shard_is_charged_its_own_processor_time(
    counted: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    busy_until = time.process_time() + 0.3
    while time.process_time() < busy_until:
        pass
    outcomes(counted, "runs", [0, 1])
    lines = [line for line in capsys.readouterr().out.splitlines() if '"completed": ' not in line]
    events = [json.loads(line.partition(" ")[2]) for line in lines if '"completed"' in line]
    assert len(events) == 2
    assert all(event["cpu_seconds"] < 0.3 for event in events)


def test_a_shard_that_somebody_works_on_is_left_alone(counted: Workspace) -> None:
    held = take(counted.paths.lease(shard(counted, "runs", 1)), this_process(), "other")
    assert held is not None
    with held:
        assert outcomes(counted, "runs") == ["completed", "elsewhere", "completed", "completed"]


def published_otherwise(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"of the follower")
    raise ConflictError(f"{path.name} exists with other content")


def asked_to_stop(path: Path) -> None:
    raise Interrupted("the runs stopped")


@pytest.mark.parametrize("ending", [published_otherwise, asked_to_stop])
def test_a_worker_that_was_followed_while_it_stood_still_leaves_all_to_its_follower(
    counted: Workspace, capsys: pytest.CaptureFixture[str], ending: Callable[[Path], None]
) -> None:
    stage: Any = counted.stages["runs"]
    own, followers = shard(counted, "runs", 0), []

    def stand_still(context: Any, shard: Any) -> None:
        follower = take(counted.paths.lease(own), this_process(), "t", is_gone=lambda _: True)
        followers.append(follower)
        ending(counted.paths.shard(own))

    stage.execute = stand_still
    assert outcomes(counted, "runs", [0]) == ["elsewhere"]
    said = capsys.readouterr()
    assert "runs_00000 was taken over by" in said.err
    assert "runs_00000 was taken over by" in said.out
    assert read_failure(counted.paths.failure(own)) is None
    [follower] = followers
    assert follower is not None
    with follower:
        assert not follower.lost()


def test_missing_inputs_are_named_and_the_rest_goes_on(counted: Workspace) -> None:
    outcomes(counted, "runs", [0, 2])
    assert outcomes(counted, "embeddings") == ["completed", "waiting", "completed", "waiting"]
    left = read_lease(counted.paths.lease(shard(counted, "embeddings", 3)))
    assert left is not None
    assert left.progress.kind == "waiting"
    assert "runs_00003" in left.progress.reason


def test_a_failure_is_a_record_and_a_good_retry_removes_it(counted: Workspace) -> None:
    stage: Any = counted.stages["runs"]
    stage.failing = {1}
    path = counted.paths.failure(shard(counted, "runs", 1))
    assert outcomes(counted, "runs") == ["completed", "failed", "completed", "completed"]
    failure = read_failure(path)
    assert failure is not None
    assert failure.kind == "ValueError"
    assert failure.reason == "shard 1 cannot be counted"
    assert "Traceback" in failure.trace
    assert failure.host
    assert outcomes(counted, "runs") == ["completed", "failed", "completed", "completed"]
    assert stage.executed.count(1) == 1, "a submission tries a failing shard once"
    stage.failing = set()
    assert outcomes(counted, "runs", submission="later") == ["completed"] * 4
    assert not path.exists()


def test_a_stage_that_publishes_nothing_has_failed(counted: Workspace) -> None:
    stage: Any = counted.stages["runs"]
    stage.execute = lambda context, shard: None
    assert outcomes(counted, "runs", [0]) == ["failed"]


def test_a_disk_that_fails_at_the_look_after_publishing_is_not_the_shards_failure(
    counted: Workspace,
) -> None:
    stage: Any = counted.stages["runs"]
    stage.lacking = lambda paths, shard: "it cannot be read ([Errno 5] file read failed)"
    assert outcomes(counted, "runs", [0]) == ["failed"]
    failure = read_failure(counted.paths.failure(shard(counted, "runs", 0)))
    assert failure is not None
    assert failure.disk


class OwnClock:
    """A clock that goes on where somebody sleeps, and nowhere else."""

    def __init__(self, moment: float) -> None:
        self.moment = moment

    def now(self) -> float:
        return self.moment

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.moment += seconds


def test_the_deadline_stops_between_steps_and_two_stops_without_progress_fail(
    counted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage: Any = counted.stages["runs"]
    stage.step_s, stage.steps = 0.3, 1000
    path = counted.paths.lease(shard(counted, "runs", 0))

    def attempt(seconds: float) -> list[str]:
        end = int(clock.now()) + stopper.RESERVE_S + seconds
        monkeypatch.setenv("PANIC_HPC_DEADLINE", str(int(end)))
        with clock.replaced(OwnClock(clock.now())):
            # Nothing but steps takes time.
            return outcomes(counted, "runs", [0])

    assert attempt(2) == ["stopped"]
    first = read_lease(path)
    assert first is not None
    assert first.progress.kind == "deadline"
    assert first.progress.done > 0
    assert attempt(2) == ["stopped"]
    second = read_lease(path)
    assert second is not None
    assert second.progress.done > first.progress.done


def test_two_attempts_without_progress_are_a_failure(counted: Workspace) -> None:
    stage: Any = counted.stages["runs"]

    def at_the_first_step(context: Any, shard: Any) -> None:
        from panic_hpc.errors import Interrupted

        raise Interrupted(context.should_stop(1e9))

    stage.execute = at_the_first_step
    for expected in ("stopped", "failed"):
        one = Worker(counted, WorkerOptions("s"))
        one.stopper.deadline = time.time() + 1000
        assert list(one.run("runs", [0])) == [expected]
    failure = read_failure(counted.paths.failure(shard(counted, "runs", 0)))
    assert failure is not None
    assert "without any progress" in failure.reason


def test_the_halt_file_stops_workers_and_names_who_asked(counted: Workspace) -> None:
    write_halt(counted.paths.halt, "ada", None)
    assert outcomes(counted, "runs") == ["stopped"]
    write_halt(counted.paths.halt, "ada", time.time() + 3600)
    assert outcomes(counted, "runs") == ["completed"] * 4


def test_a_shard_that_kills_its_workers_fails_in_the_end(counted: Workspace) -> None:
    path = counted.paths.lease(shard(counted, "runs", 0))
    path.parent.mkdir(parents=True)
    for _ in range(worker_module.MAX_DEATHS):
        if (pid := os.fork()) == 0:
            take(path, this_process(), "s")
            os._exit(0)
        os.waitpid(pid, 0)
    assert outcomes(counted, "runs", [0]) == ["failed"]
    failure = read_failure(counted.paths.failure(shard(counted, "runs", 0)))
    assert failure is not None
    assert "died" in failure.reason


@pytest.mark.parametrize(
    ("found", "cause", "code"),
    [
        ({"completed": 3}, "", 0),
        ({"completed": 1, "waiting": 2}, "", 0),
        ({"completed": 1, "failed": 2}, "", 1),
        ({"completed": 1, "stopped": 1, "failed": 1}, "deadline", 85),
        ({"completed": 3}, "deadline", 0),
        ({"failed": 1}, "deadline", 1),
        ({"stopped": 1}, "signal", 143),
        ({"stopped": 1}, "halt", 0),
    ],
)
def test_exit_codes(found: dict[str, int], cause: str, code: int) -> None:
    assert exit_code(found, cause) == code


def test_provenance_reaches_the_stage(counted: Workspace, tmp_path: Path) -> None:
    seen: list[Any] = []
    stage: Any = counted.stages["runs"]
    stage.execute = lambda context, shard: seen.append(context.provenance)
    outcomes(counted, "runs", [0])
    assert seen[0]["host"]
    assert seen[0]["libraries"]["numpy"]
    assert seen[0]["slurm"]["job"] == ""
