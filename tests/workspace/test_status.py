"""Statuses from every combination of what files and the scheduler may say."""

import os
import time
from dataclasses import replace
from typing import Any

import pytest

from panic_hpc.types import Shard, ShardId
from panic_hpc.workspace.failures import Failure
from panic_hpc.workspace.lease_text import Lease, Progress
from panic_hpc.workspace.leases import LeaseState
from panic_hpc.workspace.process import Process, SlurmIds
from panic_hpc.workspace.rate import rates
from panic_hpc.workspace.shard_files import ShardFiles, scan_shard_files
from panic_hpc.workspace.status import NEVER, QueueEntry, ShardStatus, shard_status, status
from panic_hpc.workspace.workspace import Workspace

OWNER = Process("n1", "b", "p", 7, 7, "ada", SlurmIds("70", "7", "4"))
FAILURE = Failure("ValueError", "bad", "trace", "n1", "7_4", "s", 0.0)
SHARD = Shard("embeddings", 4, "M", 0, 1, (ShardId("runs", 4),))
READY = frozenset({ShardId("runs", 4)})


def lease(kind: Any = "running", state: LeaseState = "held") -> tuple[Lease, LeaseState]:
    progress = Progress(kind, 3, 10, time.time(), "needs runs_00004")
    return Lease("t", OWNER, "s", 0.0, progress=progress), state


def seen(published: frozenset[ShardId] = READY, **facts: Any) -> ShardFiles:
    failures = {SHARD.id: facts["failure"]} if "failure" in facts else {}
    leases = {SHARD.id: facts["lease"]} if "lease" in facts else {}
    return ShardFiles(published, failures, leases)


def found(survey: ShardFiles, entry: QueueEntry | None = None) -> ShardStatus:
    return shard_status(SHARD, survey, {SHARD.id: entry} if entry else {})


def pending(reason: str = "Priority", state: str = "PENDING") -> QueueEntry:
    return QueueEntry("7_4", state, reason)


def test_a_file_says_more_than_anything_else() -> None:
    both = seen(READY | {SHARD.id}, lease=lease(), failure=FAILURE)
    assert found(both, pending()).state == "completed"


def test_shards_that_were_moved_away_are_left_out_of_the_rate(counted: Workspace) -> None:
    for index, moment in ((0, 0.0), (2, 3600.0), (3, 7200.0)):
        path = counted.paths.shard(counted.shards("runs")[index])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (moment, moment))
    found = status(counted, scan_shard_files(counted), {})
    counted.paths.shard(counted.shards("runs")[2]).unlink()
    assert rates(counted, found)["runs"].per_hour == 0.5


def test_what_a_published_shard_lacks_is_told() -> None:
    survey = ShardFiles(READY | {SHARD.id}, {}, {}, {SHARD.id: "2 of 9 diagrams are incomplete"})
    assert (found(survey).state, found(survey).detail) == (
        "completed",
        "2 of 9 diagrams are incomplete",
    )


@pytest.mark.parametrize(
    ("survey", "entry", "state", "words"),
    [
        (seen(), None, "eligible", ""),
        (seen(frozenset()), None, "waiting", "needs runs_00004"),
        (seen(failure=FAILURE), None, "failed", "ValueError: bad"),
        (seen(lease=lease()), None, "submitted", "running on n1 (job 7_4)"),
        (seen(failure=FAILURE, lease=lease()), None, "submitted", "running"),
        (seen(), pending(), "submitted", "pending (Priority)"),
        (seen(frozenset()), pending(), "submitted", "pending (Priority)"),
        (seen(failure=FAILURE), pending(), "submitted", "pending"),
        (seen(), pending(NEVER), "submitted", NEVER),
        (seen(), pending(state="COMPLETED"), "lost", "ended without a word"),
        (seen(), QueueEntry("7_4", ""), "lost", "ended without a word"),
        (seen(failure=FAILURE), QueueEntry("7_4", ""), "failed", "bad"),
        (seen(frozenset()), QueueEntry("7_4", ""), "waiting", "runs_00004"),
        (seen(lease=lease(state="void")), None, "lost", "died"),
        (seen(lease=lease(state="void")), pending(state="OUT_OF_MEMORY"), "lost", "OUT_OF_MEMORY"),
        (seen(lease=lease("deadline", "left")), None, "eligible", "was deadline"),
        (seen(lease=lease("deadline", "left")), pending("BeginTime"), "submitted", "BeginTime"),
        (seen(lease=lease("waiting", "left")), QueueEntry("7_4", ""), "eligible", "was waiting"),
    ],
)
def test_what_files_and_scheduler_say_together(
    survey: ShardFiles, entry: QueueEntry | None, state: str, words: str
) -> None:
    one = found(survey, entry)
    assert one.state == state
    assert words in one.detail


def test_a_job_that_was_cancelled_before_it_began_is_not_lost() -> None:
    assert found(seen(), pending(state="CANCELLED")).state == "eligible"


def test_a_job_that_ended_after_the_last_word_was_left_is_lost() -> None:
    silent = QueueEntry("9_4", "FAILED", submitted=time.time() + 5)
    assert found(seen(lease=lease("stopped", "left")), silent).state == "lost"
    assert found(seen(lease=lease("stopped", "left")), replace(silent, submitted=1.0)).state == (
        "eligible"
    )


def test_the_scheduler_disowns_a_claim_on_a_host_that_cannot_be_seen() -> None:
    assert found(seen(lease=lease()), pending(state="NODE_FAIL")).state == "lost"
    other = pending(state="FAILED")
    assert found(seen(lease=lease()), replace(other, job="9_9")).state == "submitted"


def test_never_satisfied_says_what_to_type() -> None:
    assert "panic-hpc retry" in found(seen(), pending(NEVER)).hint


def test_progress_inside_a_shard_is_shown() -> None:
    one = found(seen(lease=lease()))
    assert (one.done, one.total, one.running) == (3, 10, True)
    assert one.fraction == pytest.approx(0.3)
