"""Whether the disk holds what is planned, by the stages' estimates: said before work starts."""

from collections.abc import Collection

from panic_hpc.disk.blocks import free_bytes
from panic_hpc.plain_text import size
from panic_hpc.types import ShardId
from panic_hpc.workspace.shard_files import scan_shard_files
from panic_hpc.workspace.workspace import Workspace


def shortage(workspace: Workspace, stages: Collection[str] = ()) -> str:
    """Return a sentence where the disk has less room than `stages` (none: all) are to write, or "".

    Estimates are rough, and so it is a warning; what is certain stops a shard (`Journal.commit`).
    """
    names = stages or tuple(workspace.stages)
    free = free_bytes(workspace.paths.root)
    # The listing of a large experiment takes seconds, and most disks hold all of it.
    if bytes_to_write(workspace, names, frozenset()) <= free:
        return ""
    needed = bytes_to_write(workspace, names, scan_shard_files(workspace).published)
    if needed <= free:
        return ""
    return (
        f"The disk has room for {size(free)}, and about {size(needed)} are to be written in "
        f"{workspace.paths.root}: shards will fail when it is full"
    )


def bytes_to_write(
    workspace: Workspace, stages: Collection[str], published: Collection[ShardId]
) -> float:
    """Return what the shards of `stages` that are not published will take, in bytes."""
    return sum(_bytes_of(workspace, name, published) for name in stages)


def _bytes_of(workspace: Workspace, name: str, published: Collection[ShardId]) -> float:
    total = len(workspace.shards(name))
    done = sum(shard.stage == name for shard in published)
    estimate = workspace.stages[name].estimate(workspace.manifest)
    return estimate.nbytes * (total - done) / max(1, total)
