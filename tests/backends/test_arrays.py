"""What is submitted after what, for experiments of every state."""

from typing import Any

import pytest

from panic_hpc.backends.slurm.arrays import (
    ArrayLimits,
    PlannedArray,
    arrays,
    dependency,
    groups,
    select,
)
from panic_hpc.types import Shard, ShardId
from panic_hpc.workspace.status import NEVER, ShardStatus, State, Status

STAGES = ("runs", "embeddings", "merge")
WIDE = ArrayLimits(1000)


def status(runs: list[State], embeddings: list[State] | None = None, **facts: Any) -> Status:
    """A status of runs, embeddings of one model (one shard for one), and the merge of all."""
    later: list[State] = embeddings or [
        "eligible" if state == "completed" else "waiting" for state in runs
    ]
    first = [one("runs", k, state, **facts) for k, state in enumerate(runs)]
    second = [one("embeddings", k, s, inputs=(ShardId("runs", k),)) for k, s in enumerate(later)]
    inputs = tuple(x.shard.id for x in (*first, *second))
    return Status(
        {
            "runs": tuple(first),
            "embeddings": tuple(second),
            "merge": (one("merge", 0, "waiting", inputs=inputs),),
        }
    )


def one(
    stage: str, index: int, state: State, inputs: tuple[ShardId, ...] = (), **facts: Any
) -> ShardStatus:
    return ShardStatus(Shard(stage, index, "", index, 1, inputs), state, **facts)


def planned(
    found: Status, limits: ArrayLimits = WIDE, per_job: int = 1, **options: Any
) -> list[PlannedArray]:
    chosen = select(found, STAGES, retry=options.pop("retry", False))
    in_groups = groups(chosen, options.pop("memory", {}))
    return arrays(in_groups, found, dict.fromkeys(STAGES, per_job), limits)


def test_all_is_submitted_at_once_and_element_waits_for_element() -> None:
    runs, embeddings, merge = planned(status(["eligible"] * 4))
    assert (runs.tasks, runs.after) == (((0,), (1,), (2,), (3,)), ())
    assert (embeddings.after, embeddings.correlated) == ((0,), True)
    assert (merge.after, merge.correlated) == ((0, 1), False)
    assert dependency(embeddings, ["7"], [4]) == "aftercorr:7"
    assert dependency(merge, ["7", "8"], [4, 4]) == "afterany:7:8"


def test_lists_that_differ_are_not_correlated() -> None:
    found = status(["completed", "eligible", "eligible"])
    runs, embeddings, _ = planned(found)
    assert runs.tasks == ((1,), (2,))
    assert embeddings.tasks == ((0,), (1,), (2,))
    assert not embeddings.correlated
    assert dependency(embeddings, ["7"], [2]) == "afterany:7"


def test_one_alone_is_no_array_to_correlate_with() -> None:
    _, embeddings, _ = planned(status(["eligible"]))
    assert dependency(embeddings, ["7"], [1]) == "afterany:7"


def test_arrays_keep_to_the_limit_and_begin_at_zero() -> None:
    plan = planned(status(["eligible"] * 7), ArrayLimits(3))
    runs = [array for array in plan if array.stage == "runs"]
    assert [len(array.tasks) for array in runs] == [3, 3, 1]
    second = next(array for array in plan if array.stage == "embeddings" and array.tasks[0] == (3,))
    assert second.correlated
    assert second.after == (1,)


def test_what_the_queue_has_no_room_for_is_left_with_its_dependents() -> None:
    plan = planned(status(["eligible"] * 4), ArrayLimits(1000, tasks=6))
    assert [(array.stage, len(array.tasks)) for array in plan] == [
        ("runs", 4),
        ("embeddings", 2),
    ]


def test_several_shards_in_a_job() -> None:
    runs, embeddings, _ = planned(status(["eligible"] * 5), per_job=2)
    assert runs.tasks == ((0, 1), (2, 3), (4,))
    assert embeddings.correlated


def test_dependents_of_queued_shards_wait_for_their_jobs() -> None:
    found = status(["submitted", "completed"], job="40_0")
    embeddings, merge = planned(found)
    assert embeddings.tasks == ((0,), (1,))
    assert embeddings.queued == ("40_0",)
    assert dependency(merge, ["50"], [2]) == "afterany:50:40_0"


def test_failed_shards_and_what_needs_them_are_left_to_retry() -> None:
    found = status(["failed", "eligible", "lost"])
    runs, embeddings = planned(found)
    assert runs.tasks == ((1,), (2,))
    assert embeddings.tasks == ((1,), (2,))
    runs, embeddings = planned(found, retry=True)[:2]
    assert runs.tasks == ((0,), (2,))
    assert embeddings.tasks == ((0,), (2,))


def test_what_died_of_memory_is_submitted_apart() -> None:
    plan = planned(status(["failed"] * 3), retry=True, memory={ShardId("runs", 1): 2})
    runs = [(array.tasks, array.memory) for array in plan if array.stage == "runs"]
    assert runs == [(((0,), (2,)), 1), (((1,),), 2)]


def test_nothing_waits_for_what_is_never_satisfied() -> None:
    found = status(["submitted", "completed"], job="4_0", detail=f"{NEVER}: it failed")
    assert planned(found) == []


def test_nothing_is_submitted_twice() -> None:
    assert planned(status(["submitted"] * 2, ["submitted"] * 2))[0].stage == "merge"
    assert planned(status(["completed"] * 2, ["completed"] * 2), per_job=2)[0].stage == "merge"


@pytest.mark.parametrize("count", [21, 100])
def test_many_ids_are_shortened_to_their_arrays(count: int) -> None:
    first = [one("runs", k, "submitted", job=f"9_{k}") for k in range(count)]
    merge = one("merge", 0, "waiting", inputs=tuple(x.shard.id for x in first))
    found = Status({"runs": tuple(first), "merge": (merge,)})
    (array,) = arrays(groups(select(found, STAGES, retry=False), {}), found, {}, WIDE)
    assert array.queued == ("9",)
