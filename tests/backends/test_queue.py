"""Reading squeue and the ledger together."""

import pytest

from panic_hpc.backends.slurm.cancel import active_jobs
from panic_hpc.backends.slurm.queue import QueueRow, open_names, parse_row, parse_tasks, queue_of
from panic_hpc.types import ShardId
from panic_hpc.workspace.ledger import ArrayJob, Submission


def ledger(*array_jobs: ArrayJob, executor: str = "slurm") -> list[Submission]:
    return [Submission("s", executor, "c", "u", "h", 1, 0.0, "submitted", array_jobs)]


ARRAY = ArrayJob("runs", "runs-k-1", ((4,), (5, 6), (7,)), "/f", job_id="7")
ALONE = ArrayJob("merge", "merge-k-1", ((0,),), "/f", job_id="9")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N/A", []),
        ("3", [3]),
        ("0-3,7", [0, 1, 2, 3, 7]),
        ("[0-8:2%4]", [0, 2, 4, 6, 8]),
        ("1-2%1", [1, 2]),
    ],
)
def test_lists_of_array_tasks(text: str, expected: list[int]) -> None:
    assert list(parse_tasks(text)) == expected


def test_a_line_of_squeue_with_a_bar_in_its_reason() -> None:
    row = parse_row("7|0-1|PENDING||runs-k-1|Nodes a|b are down")
    assert row == QueueRow("7", (0, 1), "PENDING", "", "runs-k-1", "Nodes a|b are down")


def test_elements_jobs_and_shards_are_matched() -> None:
    rows = [
        QueueRow("7", (0,), "RUNNING", "n1", "x", "None"),
        QueueRow("7", (1, 2), "PENDING", "", "x", "Q"),
    ]
    queue = queue_of(ledger(ARRAY, ALONE), rows)
    assert queue[ShardId("runs", 4)].nodes == "n1"
    assert queue[ShardId("runs", 6)].job == "7_1"
    assert queue[ShardId("runs", 7)].reason == "Q"
    assert queue[ShardId("merge", 0)].state == ""
    assert not queue[ShardId("merge", 0)].is_active


def test_without_an_answer_everything_counts_as_submitted() -> None:
    queue = queue_of(ledger(ARRAY), None)
    assert all(entry.is_active for entry in queue.values())
    assert len(queue) == 4


def test_without_an_answer_a_job_without_an_id_counts_as_submitted_too() -> None:
    lost = ArrayJob("runs", "runs-k-2", ((1,), (2,)), "/f")
    queue = queue_of(ledger(lost), None)
    assert queue[ShardId("runs", 2)].is_active
    # There is nothing to name to Slurm.
    assert active_jobs(queue, ["runs"]) == []


def test_a_job_whose_id_was_never_written_is_found_by_its_name() -> None:
    lost = ArrayJob("runs", "runs-k-2", ((1,), (2,)), "/f")
    assert queue_of(ledger(lost), []) == {}
    found = queue_of(ledger(lost), [QueueRow("30", (0, 1), "PENDING", "", "runs-k-2", "Priority")])
    assert found[ShardId("runs", 2)].job == "30_1"


def test_an_active_job_counts_before_a_later_one_that_is_over() -> None:
    again = ArrayJob("runs", "runs-k-3", ((4,), (5,)), "/f", job_id="8")
    rows = [
        QueueRow("7", (0,), "RUNNING", "n", "x", ""),
        QueueRow("8", (0, 1), "FAILED", "", "x", ""),
    ]
    queue = queue_of(ledger(ARRAY, again), rows)
    assert queue[ShardId("runs", 4)].job == "7_0"
    assert queue[ShardId("runs", 5)].job == "8_1"


def test_cancelled_jobs_that_are_gone_leave_no_trace() -> None:
    gone = ArrayJob("runs", "runs-k-4", ((1,), (2,)), "/f", job_id="8", cancelled=True)
    assert queue_of(ledger(gone), []) == {}


def test_only_jobs_that_may_still_matter_are_asked_about() -> None:
    everything = ledger(ARRAY, ALONE)
    assert open_names(everything, frozenset({ShardId("runs", 6)})) == {"runs-k-1"}
    assert open_names(everything, frozenset()) == set()
    assert open_names(ledger(ARRAY, executor="local"), frozenset({ShardId("runs", 6)})) == set()


def test_finished_jobs_that_open_ones_wait_for_are_asked_for_too() -> None:
    first = ArrayJob("runs", "runs-k-1", ((0,),), "/f", job_id="7")
    second = ArrayJob("metrics", "m-k-1", ((0,), (1,)), "/f", job_id="8", dependency="afterany:7")
    third = ArrayJob("merge", "l-k-1", ((0,),), "/f", job_id="9", dependency="afterany:8_1:5")
    unfinished = frozenset({ShardId("merge", 0)})
    # Of 5 the ledger knows nothing.
    assert open_names(ledger(first, second, third), unfinished) == {"runs-k-1", "m-k-1", "l-k-1"}
