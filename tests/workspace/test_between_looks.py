"""What is read while others end, follow and remove: as it was before or after, never in between."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.backends.slurm import queue
from panic_hpc.backends.slurm.queue import QueueRow
from panic_hpc.backends.status_query import query_status
from panic_hpc.disk import system
from panic_hpc.disk.files import create_file
from panic_hpc.paths import ExperimentPaths
from panic_hpc.types import ShardId
from panic_hpc.worker.stopper import halt_reason, write_halt
from panic_hpc.workspace import leases
from panic_hpc.workspace.failures import Failure, read_failure, write_failure
from panic_hpc.workspace.leases import HeldLease, take
from panic_hpc.workspace.ledger import ArrayJob, new_submission, write_submission
from panic_hpc.workspace.process import Process, SlurmIds, this_process
from panic_hpc.workspace.shard_files import scan_shard_files
from panic_hpc.workspace.status import ShardStatus, status
from panic_hpc.workspace.workspace import Workspace

FAILURE = Failure("ValueError", "bad", "trace", "n1", "7_0", "before", 0.0)


@contextmanager
def at_look(number: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """Let `act` happen just before the look of that number at a directory, a file or a process."""
    looks: list[str] = []
    acts = iter([act])

    def after_others(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*asked: Any, **options: Any) -> Any:
            looks.append(str(asked[0]))
            if len(looks) > number:
                # Its own looks are none of these.
                for first in acts:
                    first()
            return look(*asked, **options)

        return looked

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((os, "listdir"), (os, "open"), (os, "stat"), (leases, "is_running")):
            patch.setattr(module, name, after_others(getattr(module, name)))
        yield looks


class Other:
    """A worker in another process that works on the first shard of runs, after a failed attempt."""

    def __init__(self, workspace: Workspace) -> None:
        self.paths, self.shard = workspace.paths, workspace.shards("runs")[0]
        self.is_alive = True
        write_failure(self.paths.failure(self.shard), FAILURE)
        # A pid of its own, or it would be this process, which knows what it holds.
        self.process = replace(this_process(), pid=1, slurm=SlurmIds("7", "7", "0"))
        held = take(self.paths.lease(self.shard), self.process, "s")
        assert held is not None
        self.held: HeldLease = held
        self.held.__enter__()
        self.held.report(1, 5)

    def publishes(self) -> None:
        create_file(self.paths.shard(self.shard), b"xxxxx")
        system.remove(self.paths.failure(self.shard))
        self._ends()

    def leaves_word(self) -> None:
        self.held.leave("deadline", "the walltime ends")
        self._ends()

    def fails(self) -> None:
        write_failure(self.paths.failure(self.shard), replace(FAILURE, submission="s"))
        self._ends()

    def _ends(self) -> None:
        self.held.__exit__()
        self.is_alive = False


def looked(found: ShardStatus) -> tuple[str, str]:
    return found.state, found.detail.partition(",")[0].partition(" on ")[0]


AT_WORK = ("submitted", "running")


@pytest.mark.parametrize(
    ("end", "after"),
    [
        ("publishes", [("completed", "")]),
        # The record of the attempt before counts until one succeeds.
        ("leaves_word", [("failed", "ValueError: bad")]),
        ("fails", [("failed", "ValueError: bad")]),
    ],
)
def test_a_worker_that_ends_between_any_two_looks_is_seen_at_work_or_done(
    counted: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, after: Any
) -> None:
    seen = set()
    for number in count():
        workspace = replace(counted, paths=ExperimentPaths(tmp_path / str(number)))
        workspace.paths.root.mkdir()
        other = Other(workspace)

        def alive(process: Process, other: Other = other) -> bool:
            return other.is_alive

        monkeypatch.setattr(leases, "is_running", alive)
        with at_look(number, getattr(other, end)) as looks:
            found = status(workspace, scan_shard_files(workspace), {})
        seen.add(looked(found.of(ShardId("runs", 0))))
        if len(looks) <= number:
            other.held.__exit__()
            break
    assert number > 5
    assert seen == {AT_WORK, *after}


def test_a_lease_left_with_a_word_while_it_is_looked_at_is_no_death(
    counted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Other(counted)
    system.remove(counted.paths.failure(other.shard))

    def ends_now(process: Process) -> bool:
        if other.is_alive:
            other.leaves_word()
        return False

    monkeypatch.setattr(leases, "is_running", ends_now)
    found = status(counted, scan_shard_files(counted), {}).of(ShardId("runs", 0))
    assert (found.state, found.stopped_by) == ("eligible", "deadline")
    followed = take(counted.paths.lease(other.shard), this_process(), "s")
    assert followed is not None
    with followed:
        assert followed.lease.deaths == 0


def test_a_job_that_ends_while_the_scheduler_is_asked_is_not_lost(
    counted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Other(counted)
    monkeypatch.setattr(leases, "is_running", lambda process: other.is_alive)
    job = ArrayJob("runs", "j", ((0,), (1,)), "f", "7")
    write_submission(counted.paths.ledger, new_submission("slurm").with_array_job(job))

    def rows(names: Any) -> list[QueueRow]:
        other.publishes()
        return [QueueRow("7", (0,), "COMPLETED", "n1", "j", "None"),
                QueueRow("7", (1,), "FAILED", "n1", "j", "NonZeroExitCode")]  # fmt: skip

    monkeypatch.setattr(queue, "rows_of", rows)
    found = query_status(counted)
    assert [one.state for one in found.status.stages["runs"][:2]] == ["completed", "lost"]
    assert ShardId("runs", 0) in found.files.published


def test_records_that_go_away_before_they_are_read_are_not_there(tmp_path: Path) -> None:
    def read_of(path: Path, read: Callable[[Path], Any]) -> list[Any]:
        told = []
        for number in range(3):
            with at_look(number, lambda: system.remove(path)):
                told.append(read(path))
            write(path)
        return told

    def write(path: Path) -> None:
        write_failure(path, FAILURE) if "failure" in path.name else write_halt(path, "ada", None)

    for name in ("failure.json", "halt.json"):
        write(tmp_path / name)
    assert set(read_of(tmp_path / "failure.json", read_failure)) == {None, FAILURE}
    told = read_of(tmp_path / "halt.json", lambda path: halt_reason(path, 1.0))
    assert set(told) == {"", "ada asked to stop"}
