"""What `status` asks: files first, then one scheduler query; and why one shard is not completed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.execution import scheduler
from panic_hpc.execution.events import shard_name
from panic_hpc.execution.experiment import Experiment
from panic_hpc.execution.failures import read_failure
from panic_hpc.execution.ledger import Submission, read_ledger
from panic_hpc.execution.status import Queue, ShardStatus, Status, status
from panic_hpc.execution.survey import Survey, survey
from panic_hpc.types import MERGE, Shard, ShardId


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Everything that was seen: the files, the ledger, the queue, and the status made of them.

    `trouble` says why the scheduler gave no answer, "" where it did or was not needed.
    """

    seen: Survey
    ledger: tuple[Submission, ...]
    queue: Queue
    status: Status
    trouble: str = ""


def inquire(experiment: Experiment) -> Inquiry:
    """Return the status of every shard now, with at most one question to the scheduler."""
    # Files first: where all is published nobody is asked. A job that ends between the two looks may
    # read as lost until the next one; its worker would find the file.
    seen = survey(experiment)
    ledger = tuple(read_ledger(experiment.paths.ledger))
    rows, trouble = _rows(experiment, seen, ledger)
    queue = scheduler.queue_of(ledger, rows)
    return Inquiry(seen, ledger, queue, status(experiment, seen, queue), trouble)


def _rows(
    experiment: Experiment, seen: Survey, ledger: tuple[Submission, ...]
) -> tuple[list[scheduler.Row] | None, str]:
    every = {shard.id for stage in experiment.stages for shard in experiment.shards(stage)}
    names = scheduler.open_names(ledger, frozenset(every - seen.published))
    try:
        return scheduler.rows_of(names), ""
    except LaunchError as error:
        return None, str(error)


def _condition(experiment: Experiment, shard: Shard) -> str:
    """Return whether a shard's file is absent, sound, or what of it is not as it should be."""
    path = experiment.paths.shard(shard)
    if not path.exists():
        return "absent"
    if shard.stage == MERGE:
        return "there"
    from panic_hpc.store.shard import open_shard

    try:
        with open_shard(path, manifest_key=experiment.manifest.key):
            return "there, and of this experiment"
    except PanicError as error:
        return f"there, but: {error}"


def parse_shard(experiment: Experiment, name: str) -> ShardId:
    """Return the shard called `name` (`runs_00042` or `runs_42`); PanicError where none is."""
    match = re.fullmatch(r"(?P<stage>[a-z]+)_(?P<index>\d+)", name)
    if not match or match["stage"] not in experiment.stages:
        known = ", ".join(experiment.stage_order())
        raise PanicError(f"{name!r} names no shard", hint=f"Write stage_number; stages: {known}")
    count = len(experiment.shards(match["stage"]))
    if int(match["index"]) >= count:
        raise PanicError(f"There is no {name}", hint=f"The last is number {count - 1}")
    return ShardId(match["stage"], int(match["index"]))


def explain(experiment: Experiment, one: ShardStatus) -> Iterator[str]:
    """Yield what can be said of a shard's file, inputs, checkpoint and failure."""
    paths, shard = experiment.paths, one.shard
    yield f"file: {paths.shard(shard)} ({_condition(experiment, shard)})"
    for needed in shard.inputs:
        source = experiment.shards(needed.stage)[needed.index]
        if not paths.shard(source).exists():
            yield f"needs {shard_name(needed.stage, needed.index)}: {paths.shard(source)} (absent)"
    if paths.checkpoint(shard).exists():
        yield f"checkpoint: {paths.checkpoint(shard)}, {one.done} of {one.total} done"
    if failure := read_failure(paths.failure(shard)):
        yield f"failed on {failure.host or 'an unknown host'} in job {failure.job or '(local)'}"
        yield from failure.trace.splitlines()
    if one.hint:
        yield one.hint
