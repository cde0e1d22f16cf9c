"""What a series asks of Slurm: when the small job begins, and how small it is."""

import pytest

from panic_hpc.clusters.profiles import load_cluster
from panic_hpc.evolution.by_jobs import behind, going_jobs, small
from panic_hpc.types import ShardId
from panic_hpc.workspace.ledger import ArrayJob
from panic_hpc.workspace.status import NEVER, QueueEntry


def job(stage: str, name: str) -> ArrayJob:
    return ArrayJob(stage, name, ((0,),), "", name)


def test_it_begins_behind_the_merge_or_when_anything_has_failed() -> None:
    jobs = [job("runs", "1"), job("metrics", "2"), job("merge", "3")]
    assert behind(jobs) == "afterany:3?afternotok:1?afternotok:2"
    assert behind(jobs[2:]) == "afterany:3"
    assert behind(jobs[:2]) == "afterany:2?afternotok:1"


@pytest.mark.parametrize(
    ("state", "reason", "goes"),
    [
        ("RUNNING", "None", True),
        ("PENDING", "Priority", True),
        ("PENDING", NEVER, False),
        ("PENDING", "Dependency", False),
        ("COMPLETED", "", False),
    ],
)
def test_jobs_that_wait_for_failed_ones_do_not_count_as_going(
    state: str, reason: str, goes: bool
) -> None:
    queue = {ShardId("runs", 0): QueueEntry("7_1", state, reason)}
    assert going_jobs(queue) == (["7_1"] if goes else [])


def test_it_has_one_core_where_merges_run() -> None:
    cluster = load_cluster("testbed")
    found = small(cluster).stage("diagrams")
    assert (found.tasks, found.cpus, found.gpus) == (1, 1, 0)
    assert found.partition == cluster.stage("merge").partition
    assert small(cluster).stage("merge") == cluster.stage("merge")
