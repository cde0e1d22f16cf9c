"""What `status` asks: files first, then one scheduler query; and why one shard is not completed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from panic_hpc.backends.slurm.queue import QueueRow, open_names, queue_of, rows_of
from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.types import MERGE, Shard, ShardId
from panic_hpc.workspace.events import shard_name
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.ledger import Submission, read_ledger
from panic_hpc.workspace.shard_files import ShardFiles, scan_shard_files
from panic_hpc.workspace.status import Queue, ShardStatus, Status, status
from panic_hpc.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """Everything that was seen: the files, the ledger, the queue, and the status made of them.

    `trouble` says why the scheduler gave no answer, "" where it did or was not needed.
    """

    seen: ShardFiles
    ledger: tuple[Submission, ...]
    queue: Queue
    status: Status
    trouble: str = ""


def query_status(workspace: Workspace) -> StatusSnapshot:
    """Return the status of every shard now, with at most one question to the scheduler."""
    # Files first: where all is published nobody is asked. A job that ends between the two looks may
    # read as lost until the next one; its worker would find the file.
    seen = scan_shard_files(workspace)
    ledger = tuple(read_ledger(workspace.paths.ledger))
    rows, trouble = _rows(workspace, seen, ledger)
    queue = queue_of(ledger, rows)
    return StatusSnapshot(seen, ledger, queue, status(workspace, seen, queue), trouble)


def _rows(
    workspace: Workspace, seen: ShardFiles, ledger: tuple[Submission, ...]
) -> tuple[list[QueueRow] | None, str]:
    every = {shard.id for stage in workspace.stages for shard in workspace.shards(stage)}
    names = open_names(ledger, frozenset(every - seen.published))
    try:
        return rows_of(names), ""
    except LaunchError as error:
        return None, str(error)


def _condition(workspace: Workspace, shard: Shard) -> str:
    """Return whether a shard's file is absent, sound, or what of it is not as it should be."""
    path = workspace.paths.shard(shard)
    if not path.exists():
        return "absent"
    if shard.stage == MERGE:
        return "there"
    from panic_hpc.store.format.shard import open_shard

    try:
        with open_shard(path, manifest_key=workspace.manifest.key):
            return "there, and of this experiment"
    except PanicError as error:
        return f"there, but: {error}"


def parse_shard(workspace: Workspace, name: str) -> ShardId:
    """Return the shard called `name` (`runs_00042` or `runs_42`); PanicError where none is."""
    match = re.fullmatch(r"(?P<stage>[a-z]+)_(?P<index>\d+)", name)
    if not match or match["stage"] not in workspace.stages:
        known = ", ".join(workspace.stages)
        raise PanicError(f"{name!r} names no shard", hint=f"Write stage_number; stages: {known}")
    count = len(workspace.shards(match["stage"]))
    if int(match["index"]) >= count:
        raise PanicError(f"There is no {name}", hint=f"The last is number {count - 1}")
    return ShardId(match["stage"], int(match["index"]))


def explain(workspace: Workspace, one: ShardStatus) -> Iterator[str]:
    """Yield what can be said of a shard's file, inputs, checkpoint and failure."""
    paths, shard = workspace.paths, one.shard
    yield f"file: {paths.shard(shard)} ({_condition(workspace, shard)})"
    for needed in shard.inputs:
        source = workspace.shards(needed.stage)[needed.index]
        if not paths.shard(source).exists():
            yield f"needs {shard_name(needed.stage, needed.index)}: {paths.shard(source)} (absent)"
    if paths.checkpoint(shard).exists():
        yield f"checkpoint: {paths.checkpoint(shard)}, {one.done} of {one.total} done"
    if failure := read_failure(paths.failure(shard)):
        yield f"failed on {failure.host or 'an unknown host'} in job {failure.job or '(local)'}"
        yield from failure.trace.splitlines()
    if one.hint:
        yield one.hint
