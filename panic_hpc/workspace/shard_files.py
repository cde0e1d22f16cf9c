"""What the files of an experiment say about its shards: one listing a directory."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from panic_hpc import clock
from panic_hpc.errors import AbsentError, PanicError
from panic_hpc.stages.base import ABSENT
from panic_hpc.types import Shard, ShardId
from panic_hpc.validation.record import read_record
from panic_hpc.workspace.failures import Failure, read_failure
from panic_hpc.workspace.lease_text import Lease
from panic_hpc.workspace.leases import LeaseState, seen
from panic_hpc.workspace.workspace import Workspace

NUMBERED = re.compile(r"(?P<stage>[a-z_]+)_(?P<index>\d+)\.(h5|json)")


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The files' word on every shard of an experiment.

    published: shards whose work is done.
    failures: why shards failed that are not done.
    leases: who works on a shard, and what that lease means now.
    remarks: what is to be told of shards that are done.
    lacking: why shards whose file is there are not done: it must be made anew.
    """

    published: frozenset[ShardId]
    failures: dict[ShardId, Failure]
    leases: dict[ShardId, tuple[Lease, LeaseState]]
    remarks: dict[ShardId, str] = field(default_factory=dict)
    lacking: dict[ShardId, str] = field(default_factory=dict)


def scan_shard_files(workspace: Workspace) -> ShardFiles:
    """Read the directories of an experiment once."""
    paths, now = workspace.paths, clock.now()
    # What a worker that ends does last is read first: it publishes its shard, or writes its
    # failure, and then removes its lease. So one that ends meanwhile is seen at work or seen to be
    # done, and never taken for lost.
    leased = {i: seen(p, None, now) for i, p in _numbered(paths.leases)}
    failures = {i: read_failure(p) for i, p in _numbered(paths.failed)}
    asked = {shard.id: workspace.lacking(shard) for shard in _shards_to_ask(workspace)}
    published = frozenset([*_listed(workspace), *(i for i, lacks in asked.items() if not lacks)])
    return ShardFiles(
        published,
        {i: failure for i, failure in failures.items() if failure and i not in published},
        {i: found[:2] for i, found in leased.items() if found and i not in published},
        {i: _remark(p) for i, p in _numbered(paths.remarks) if i in published},
        {i: lacks for i, lacks in asked.items() if lacks not in ("", ABSENT)},
    )


@dataclass(frozen=True, slots=True)
class Remark:
    """What a published shard lacks, as its stage wrote it down."""

    remark: str


def _remark(path: Path) -> str:
    try:
        return read_record(Remark, path).remark
    except AbsentError:
        return ""
    except PanicError as error:
        return f"its remark cannot be read: {error.message}"


def _shards_to_ask(workspace: Workspace) -> Iterable[Shard]:
    """Yield the shards whose files are in places of their own; they are few."""
    return (s for stage in workspace.stages for s in workspace.shards(stage) if s.file)


def _listed(workspace: Workspace) -> Iterable[ShardId]:
    """Yield the shards whose files are where a stage's shards lie: being there is being done."""
    for stage in workspace.stages:
        directories = {shard.model for shard in workspace.shards(stage) if not shard.file}
        for model in directories:
            directory = workspace.paths.stage_directory(stage, model)
            yield from (i for i, _ in _numbered(directory) if i.stage == stage)


def _numbered(directory: Path) -> Iterable[tuple[ShardId, Path]]:
    try:
        # One listing: a stat a shard is a question to the metadata server each.
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        # Leaves out temporaries, and successor files of leases: their names begin with a dot.
        if match := NUMBERED.fullmatch(name):
            yield ShardId(match["stage"], int(match["index"])), directory / name
