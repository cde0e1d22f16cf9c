"""What to submit: which shards, in which arrays, after which others. Pure.

Shards whose inputs are not there yet are submitted with those that make them: `aftercorr` where
task k of one array needs nothing but task k of another, `afterany` otherwise. Dependencies
only order work; every worker looks for its inputs itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from panic_hpc.types import ShardId
from panic_hpc.workspace.status import NEVER, ShardStatus, Status

TRIED_AGAIN = ("eligible", "lost")
MAX_IDS = 20


@dataclass(frozen=True, slots=True)
class ArrayLimits:
    """`array_size`: tasks an array may have; `tasks`: what may be in the queue at once, or 0."""

    array_size: int
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Shards of one stage (and model) that get the same resources; `memory` multiplies theirs."""

    stage: str
    model: str
    memory: int
    shards: tuple[ShardStatus, ...]


@dataclass(frozen=True, slots=True)
class PlannedArray:
    """One array to submit.

    `tasks[k]` are shard numbers. `after` are positions, in the plan, of arrays to wait for
    (with `correlated`: task k for task k of the only one); `queued` are ids of jobs that are
    in the queue already.
    """

    stage: str
    tasks: tuple[tuple[int, ...], ...]
    after: tuple[int, ...] = ()
    queued: tuple[str, ...] = ()
    correlated: bool = False
    memory: int = 1


def select(status: Status, stages: Iterable[str], *, retry: bool) -> list[ShardStatus]:
    """Return the shards to submit, in order: what can be worked on, and what waits for only that.

    Failed shards are left to `retry`, but those that a file system failed; with it, only
    failed and lost ones and their dependents go.
    """
    chosen: dict[ShardId, ShardStatus] = {}
    wanted = set(stages)
    for stage, shards in status.stages.items():
        for one in shards if stage in wanted else ():
            if _is_to_go(one, status, chosen, retry=retry):
                chosen[one.shard.id] = one
    return list(chosen.values())


def _is_to_go(
    shard: ShardStatus, status: Status, chosen: Mapping[ShardId, ShardStatus], *, retry: bool
) -> bool:
    if shard.state == "failed":
        return retry or shard.disk
    if shard.state in TRIED_AGAIN:
        return shard.state == "lost" or not retry
    if shard.state != "waiting":
        return False
    sources = [(needed in chosen, status.of(needed)) for needed in shard.shard.inputs]
    return all(going or _is_coming(source) for going, source in sources)


def _is_coming(source: ShardStatus) -> bool:
    return source.state in ("completed", "submitted") and not source.detail.startswith(NEVER)


def groups(chosen: Iterable[ShardStatus], memory: Mapping[ShardId, int]) -> Iterator[Group]:
    """Yield the chosen shards grouped by stage, model and the memory they need.

    `memory` says what multiplies the profile's, 1 where it says nothing.
    """

    def kind(shard: ShardStatus) -> tuple[str, str, int]:
        return shard.shard.stage, shard.shard.model, memory.get(shard.shard.id, 1)

    order: dict[tuple[str, str, int], list[ShardStatus]] = {}
    for one in chosen:
        order.setdefault(kind(one), []).append(one)
    for (stage, model, factor), shards in order.items():
        yield Group(stage, model, factor, tuple(shards))


def arrays(
    planned_groups: Iterable[Group],
    status: Status,
    per_job: Mapping[str, int],
    limits: ArrayLimits,
) -> list[PlannedArray]:
    """Return the arrays to submit, in order of submission, each within the limits.

    `per_job` says how many shards of a stage one job takes. What does not fit into the queue is
    left for the next call.
    """
    plan: list[PlannedArray] = []
    places: dict[ShardId, tuple[int, int]] = {}
    room = limits.tasks or None
    for group in planned_groups:
        tasks = _in_tasks(group.shards, per_job.get(group.stage, 1))
        for part in _cut(tasks, limits.array_size):
            fitting = part if room is None else part[:room]
            fitting = [e for e in fitting if all(_is_placed(s, status, places) for s in e)]
            if not fitting:
                continue
            plan.append(_array(group, fitting, status, places))
            for task, shards in enumerate(fitting):
                places |= {one.shard.id: (len(plan) - 1, task) for one in shards}
            # Submit limits count every task of an array.
            room = None if room is None else room - len(fitting)
    return plan


ArrayTask = tuple[ShardStatus, ...]


def _in_tasks(shards: Sequence[ShardStatus], per_job: int) -> list[ArrayTask]:
    return [tuple(shards[k : k + per_job]) for k in range(0, len(shards), per_job)]


def _cut(tasks: Sequence[ArrayTask], size: int) -> Iterator[Sequence[ArrayTask]]:
    # Each an array of its own, numbered from 0: MaxArraySize caps the index and not the count.
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def _is_placed(
    shard: ShardStatus, status: Status, places: Mapping[ShardId, tuple[int, int]]
) -> bool:
    """Whether all that `one` needs is there, queued, or in an array before this one."""
    return all(needed in places or _is_coming(status.of(needed)) for needed in shard.shard.inputs)


def _array(
    group: Group,
    array_tasks: Sequence[ArrayTask],
    status: Status,
    places: Mapping[ShardId, tuple[int, int]],
) -> PlannedArray:
    needed = [
        (position, source)
        for position, task in enumerate(array_tasks)
        for one in task
        for source in one.shard.inputs
        if status.of(source).state != "completed"
    ]
    after = sorted({places[source][0] for _, source in needed if source in places})
    queued = sorted({status.of(source).job for _, source in needed if source not in places} - {""})
    alike = all(source in places and places[source][1] == position for position, source in needed)
    return PlannedArray(
        stage=group.stage,
        tasks=tuple(tuple(one.shard.index for one in task) for task in array_tasks),
        after=tuple(after),
        queued=_whole_arrays(queued),
        correlated=len(after) == 1 and not queued and alike and len(array_tasks) > 1,
        memory=group.memory,
    )


def _whole_arrays(ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids; where there are many, arrays instead of tasks: lines have a limit."""
    if len(ids) <= MAX_IDS:
        return tuple(ids)
    return tuple(sorted({job.partition("_")[0] for job in ids}))


def dependency(array: PlannedArray, ids: Sequence[str], sizes: Sequence[int]) -> str:
    """Return the value of --dependency; `ids` and `sizes` are those of the arrays before it.

    Arrays of one task are plain jobs, to which nothing can be correlated.
    """
    if array.correlated:
        (parent,) = array.after
        if sizes[parent] == len(array.tasks):
            # Was seen to wait through a requeue of its parent; after a real failure it waits for
            # ever, until the next submit or retry cancels it.
            return f"aftercorr:{ids[parent]}"
    waited = [*(ids[position] for position in array.after), *array.queued]
    # Not afterok: it holds at once for a job that Slurm has forgotten, failed or not, and never for
    # one that failed.
    return "afterany:" + ":".join(waited) if waited else ""
