"""What `status` asks: files first, then each backend at most once; why a shard is not completed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from panic_hpc.backends.base import backends
from panic_hpc.errors import PanicError
from panic_hpc.stages.base import ABSENT
from panic_hpc.types import Shard, ShardId
from panic_hpc.workspace.events import shard_name
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.ledger import Submission, read_ledger
from panic_hpc.workspace.shard_files import ShardFiles, scan_shard_files
from panic_hpc.workspace.status import Queue, QueueEntry, ShardStatus, Status, status
from panic_hpc.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """Everything that a status was made of, at one moment.

    files: what the experiment's files say.
    ledger: what was ever submitted.
    queue: what schedulers say of what was submitted to them.
    status: the status of every shard, made of the others.
    scheduler_error: why a scheduler gave no answer, "" where it did or was not needed.
    """

    files: ShardFiles
    ledger: tuple[Submission, ...]
    queue: Queue
    status: Status
    scheduler_error: str = ""


def query_status(workspace: Workspace) -> StatusSnapshot:
    """Return the status of every shard now, with at most one question to each scheduler."""
    # Files first: where all is published nobody is asked.
    files = scan_shard_files(workspace)
    ledger = tuple(read_ledger(workspace.paths.ledger))
    every = {shard.id for stage in workspace.stages for shard in workspace.shards(stage)}
    queue: dict[ShardId, QueueEntry] = {}
    errors = []
    for backend in backends().values():
        known, error = backend.queue(ledger, every - files.published)
        queue |= known
        errors += [error] if error else []
    found = status(workspace, files, queue)
    # A job that ended between the two looks has left its word in files by now.
    if queue and any(one.state == "lost" for one in found.all()):
        files = scan_shard_files(workspace)
        found = status(workspace, files, queue)
    return StatusSnapshot(files, ledger, queue, found, "; ".join(errors))


def _condition(workspace: Workspace, shard: Shard) -> str:
    """Return whether a shard's file is absent, sound, or what of it is not as it should be."""
    lacks = workspace.lacking(shard) or _damage(workspace, shard)
    if lacks == ABSENT:
        return lacks
    return f"there, but: {lacks}" if lacks else "sound"


def _damage(workspace: Workspace, shard: Shard) -> str:
    """Return why a file that lies where shards do is not this shard of this experiment."""
    if shard.file:
        return ""
    from panic_hpc.store.format.shard import open_shard

    try:
        with open_shard(workspace.paths.shard(shard), manifest_key=workspace.manifest.key):
            return ""
    except PanicError as error:
        return str(error)


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


def explain(workspace: Workspace, state: ShardStatus) -> Iterator[str]:
    """Yield what can be said of a shard's file, inputs, checkpoint and failure."""
    paths, shard = workspace.paths, state.shard
    yield f"file: {paths.shard(shard)} ({_condition(workspace, shard)})"
    for needed in shard.inputs:
        source = workspace.shards(needed.stage)[needed.index]
        if lacks := workspace.lacking(source):
            yield f"needs {shard_name(needed.stage, needed.index)}: {paths.shard(source)} ({lacks})"
    if paths.checkpoint(shard).exists():
        yield f"checkpoint: {paths.checkpoint(shard)}, {state.done} of {state.total} done"
    if failure := read_failure(paths.failure(shard)):
        yield f"failed on {failure.host or 'an unknown host'} in job {failure.job or '(local)'}"
        yield from failure.trace.splitlines()
    if state.hint:
        yield state.hint
