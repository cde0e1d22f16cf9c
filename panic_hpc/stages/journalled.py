"""What stages that checkpoint in a journal have in common: when they work, and how they stop."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from panic_hpc.disk.system import remove
from panic_hpc.errors import Interrupted
from panic_hpc.stages.base import Context, ShardStage
from panic_hpc.stages.prefetch import prefetch
from panic_hpc.stages.throttle import Slowest, Throttle
from panic_hpc.store.journal import Journal
from panic_hpc.types import RUNS, ModelSpec, Shard, ShardId

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


P = TypeVar("P")
V = TypeVar("V", covariant=True)


class PartsReader(Protocol[P, V]):
    """Reads what is recorded by positions (runs, or calls), each in parts that fit in memory."""

    def parts(self, position: int) -> Sequence[P]:
        """Return which parts a position has, in order; reads no file."""

    def read(self, position: int, part: P) -> V:
        """Return a part of a position."""


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


def shards_by_model(
    stage: str, models: Sequence[ModelSpec], manifest: "Manifest"
) -> Sequence[Shard]:
    """Return a shard for every model and runs shard, model by model."""
    sources = manifest.run_shards
    return [
        Shard(
            stage,
            # Numbered over all models, so that an array job of the stage has one index.
            place * len(sources) + source.index,
            model.name,
            source.first_run,
            source.n_runs,
            (ShardId(RUNS, source.index),),
        )
        for place, model in enumerate(models)
        for source in sources
    ]


def runs_shard_of(shard: Shard) -> Shard:
    """Return the runs shard that a shard of `shards_by_model` is made of."""
    return Shard(RUNS, shard.inputs[0].index, "", shard.first_run, shard.n_runs)


def record_parts(
    context: Context,
    stage: str,
    reader: PartsReader[P, V],
    n_positions: int,
    journal: Journal,
    work: Callable[[int, Iterator[V]], tuple[Any, list[bytes]]],
) -> None:
    """Work position by position, a journal record each, from where the journal ends.

    `work` gets a position and its parts, all of which it must take; they are read ahead.
    """
    n_done = len(journal.records)
    slowest, pace = Slowest(), Throttle(context.checkpoint_s)
    context.report(n_done, n_positions)
    positions = range(n_done, n_positions)
    # Asked twice of a position: what is read ahead is one or two before the work.
    parts_of = lru_cache(4)(reader.parts)
    wanted = ((position, part) for position in positions for part in parts_of(position))
    # A part ahead, of the next position too: decoding an image of 1024 by 1024 takes 18 ms of a
    # core.
    ahead = prefetch(lambda one: reader.read(*one), wanted)
    for position in positions:
        # Between positions only: each is a record of the journal, and a half one would be done
        # again.
        if reason := context.should_stop(slowest.seconds):
            journal.commit()
            raise interrupted(stage, reason)
        with slowest.timed():
            journal.append(*work(position, islice(ahead, len(parts_of(position)))))
        if pace.is_due():
            journal.commit()
        context.report(position + 1, n_positions)
