"""What stages that checkpoint in a journal have in common: when they work, and how they stop."""

from abc import abstractmethod
from pathlib import Path

from panic_hpc.disk.system import remove
from panic_hpc.errors import Interrupted
from panic_hpc.stages.base import Context, ShardStage
from panic_hpc.types import Shard


class JournalledStage(ShardStage):
    """A stage whose shards go on from a journal.

    A subclass declares `name` and `after` and writes `shards`, `estimate` and `work`.
    """

    resumes = True

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the file of `shard` unless it is there; goes on from its journal."""
        path, checkpoint = context.paths.shard(shard), context.paths.checkpoint(shard)
        if self.lacking(context.paths, shard):
            self.work(context, shard, path, checkpoint)
        # After publishing, and also where the file was there: a kill between the two leaves a
        # journal.
        remove(checkpoint)

    @abstractmethod
    def work(self, context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
        """Do what the journal in `checkpoint` lacks of `shard`, and publish it as `path`."""


def interrupted(stage: str, reason: str) -> Interrupted:
    """Return the error of a stage that stops, for `reason`, after its checkpoint."""
    return Interrupted(f"The {stage} stopped: {reason}", hint="Submit again to continue")
