"""The diagrams stage: a diagram for each run and embedding model, or the reason for none."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.disk.system import remove
from panic_hpc.experiment.config import Homology
from panic_hpc.models.numerics import numerics_class
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.stages.diagrams.clouds import open_clouds
from panic_hpc.stages.diagrams.estimate import estimate_diagrams, estimate_longest_shard
from panic_hpc.stages.diagrams.job import DiagramsJob
from panic_hpc.stages.diagrams.one_diagram import DiagramSettings, probe
from panic_hpc.stages.diagrams.shard_arrays import diagrams_arrays, results
from panic_hpc.stages.diagrams.stops import remark
from panic_hpc.stages.journalled import JournalledStage
from panic_hpc.stages.shard_header import begin_header, finish_header
from panic_hpc.store.format.shard import publish_shard
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.store.results.diagrams import INCOMPLETE
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, ModelSpec, Shard, ShardId

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

RUNS_PER_SHARD = 256
ENGINE_LIBRARIES = ("panic-hpc", "giotto-ph", "gudhi", "numpy")


class DiagramsStage(JournalledStage):
    """The stage of homology; a shard has up to RUNS_PER_SHARD runs under one model."""

    name = DIAGRAMS
    after = (EMBEDDINGS,)
    settings = Homology

    def models(self, manifest: "Manifest") -> tuple[ModelSpec, ...]:
        """Return the embedding models."""
        return manifest.embedding_models

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
        return estimate_diagrams(manifest)

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return the estimate of a shard of the costliest network and model."""
        return estimate_longest_shard(manifest, RUNS_PER_SHARD)

    def work(self, context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
        """Compute the diagrams of the shard's runs and publish them; goes on from its journal."""
        settings = DiagramSettings.of(context.manifest.experiment.homology)
        probe(settings)
        header = begin_header(context, shard, numerics_class("cpu", 1, ENGINE_LIBRARIES))
        allow = context.allow_other_numerics
        with (
            open_clouds(context, shard) as clouds,
            open_journal(checkpoint, header, allow_other_numerics=allow) as journal,
        ):
            DiagramsJob(context, settings, clouds, journal).work()
            arrays = diagrams_arrays(clouds, settings, journal)
            _remark(context.paths.remark(shard), journal, shard.n_runs)
            publish_shard(path, finish_header(context, header, journal), arrays)


def _inputs(starts: Sequence[int], place: int, first: int, n_runs: int) -> Iterator[ShardId]:
    """Yield the embeddings shards that hold runs of the diagrams shard that begins at `first`."""
    last = min(first + RUNS_PER_SHARD, n_runs) - 1
    for number in range(bisect_right(starts, first) - 1, bisect_right(starts, last)):
        yield ShardId(EMBEDDINGS, place * len(starts) + number)


def _remark(path: Path, journal: Journal, n_runs: int) -> None:
    """Leave word beside the shard, for `status`, where diagrams are incomplete."""
    values = [record.value for record in results(journal)]
    reasons = [value["reason"] for value in values if value["status"] == INCOMPLETE]
    if text := remark(reasons, n_runs):
        replace_file(path, to_json({"remark": text}))
    else:
        remove(path)


PLUGINS = (DiagramsStage(),)
