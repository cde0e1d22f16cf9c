"""The diagrams stage: a diagram for each run and embedding model, or the reason for none."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.errors import Interrupted
from panic_hpc.models.numerics import numerics_class
from panic_hpc.stages import sizes
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.stages.headers import begun, finished
from panic_hpc.stages.pace import Pace
from panic_hpc.stages.persistence.clouds import Clouds, open_clouds
from panic_hpc.stages.persistence.diagram import DiagramSettings, compute, died, probe
from panic_hpc.stages.persistence.diagrams_file import diagrams_arrays, recorded
from panic_hpc.stages.persistence.processes import each
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.store.shard import publish_shard
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, Shard, ShardId

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

RUNS_PER_SHARD = 256
ENGINE_LIBRARIES = ("panic-hpc", "giotto-ph", "gudhi", "numpy")


class Diagrams:
    """The stage of homology; a shard has up to RUNS_PER_SHARD runs under one model."""

    name = DIAGRAMS
    after = (EMBEDDINGS,)

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return shards of consecutive runs, model by model, whatever the runs shards were."""
        firsts = range(0, manifest.n_runs, RUNS_PER_SHARD)
        starts = [source.first_run for source in manifest.run_shards]
        return [
            Shard(
                DIAGRAMS,
                place * len(firsts) + number,
                model.name,
                first,
                min(RUNS_PER_SHARD, manifest.n_runs - first),
                tuple(_inputs(starts, place, first, manifest.n_runs)),
            )
            for place, model in enumerate(manifest.embedding_models)
            for number, first in enumerate(firsts)
        ]

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the core seconds that trajectories of these lengths take, and their bytes."""
        return sizes.estimate_diagrams(manifest)

    def execute(self, context: Context, shard: Shard) -> None:
        """Compute the diagrams of the shard's runs and publish them; goes on from its journal."""
        path, checkpoint = context.paths.shard(shard), context.paths.checkpoint(shard)
        if not path.exists():
            _work(context, shard, path, checkpoint)
        checkpoint.unlink(missing_ok=True)


def _inputs(starts: Sequence[int], place: int, first: int, n_runs: int) -> Iterator[ShardId]:
    """Yield the embeddings shards that hold runs of the diagrams shard that begins at `first`."""
    last = min(first + RUNS_PER_SHARD, n_runs) - 1
    for number in range(bisect_right(starts, first) - 1, bisect_right(starts, last)):
        yield ShardId(EMBEDDINGS, place * len(starts) + number)


def _work(context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
    settings = DiagramSettings.of(context.manifest.experiment.homology)
    probe(settings)
    header = begun(context, shard, numerics_class("cpu", 1, ENGINE_LIBRARIES))
    allow = context.allow_other_numerics
    with (
        open_clouds(context, shard) as clouds,
        open_journal(checkpoint, header, allow_other_numerics=allow) as journal,
    ):
        _compute_all(context, settings, clouds, journal)
        arrays = diagrams_arrays(clouds, settings, journal)
        publish_shard(path, finished(header, journal), arrays)


def _compute_all(
    context: Context, settings: DiagramSettings, clouds: Clouds, journal: Journal
) -> None:
    """Compute what the journal lacks, the longest first, a record each as they finish."""
    n_runs = len(clouds.indices)
    done = {record.value["position"] for record in journal.records}
    waiting = sorted(set(range(n_runs)) - done, key=lambda p: (-clouds.n_rows(p), p))
    pace, slowest = Pace(context.checkpoint_s), 0.0
    context.report(len(done), n_runs)

    def stop_if_asked() -> None:
        if reason := context.should_stop(slowest):
            journal.commit()
            raise Interrupted(f"The diagrams stopped: {reason}", hint="Submit again to continue")

    tasks = (clouds.read(position) for position in waiting)
    for cloud, diagram in each(partial(compute, settings), tasks, context.cpus, stop_if_asked):
        result = died(cloud) if diagram is None else diagram
        slowest = max(slowest, result.seconds)
        journal.append(*recorded(cloud.position, result))
        if pace.is_due():
            journal.commit()
        context.report(len(journal.records), n_runs)


PLUGINS = (Diagrams(),)
