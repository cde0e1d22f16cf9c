"""The metrics stage: numbers for every output that a metric can judge."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc.experiment.config import Experiment
from panic_hpc.models.base import MetricModel
from panic_hpc.models.loading import load_all
from panic_hpc.models.metric_settings import ROLE
from panic_hpc.models.numerics import numerics_class
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.stages.codecs.base import codec_of, with_codecs
from panic_hpc.stages.journalled import (
    JournalledStage,
    record_parts,
    runs_shard_of,
    shards_by_model,
)
from panic_hpc.stages.metrics.estimate import estimate_longest_shard, estimate_metrics
from panic_hpc.stages.metrics.one_run import caller_of, recorded, score_run
from panic_hpc.stages.metrics.pairs import PairReader
from panic_hpc.stages.metrics.settings import (
    MetricsSettings,
    against_of,
    compared_by,
    problems_of,
)
from panic_hpc.stages.metrics.shard_arrays import metrics_arrays
from panic_hpc.stages.prompt_inputs import first_values, role_pictures
from panic_hpc.stages.shard_header import begin_header, finish_header
from panic_hpc.store.format.shard import ShardFile, open_shard, publish_shard
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.types import RUNS, ModelSpec, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


class MetricsStage(JournalledStage):
    """The stage that scores; a shard has the runs of one runs shard under one metric."""

    name = METRICS
    after = (RUNS,)
    settings = MetricsSettings

    def problems(self, experiment: Experiment, specs: Mapping[str, ModelSpec]) -> list[str]:
        """Return what keeps the metrics from scoring what the networks make."""
        return problems_of(experiment, experiment.stage_models.get(METRICS, ()), specs)

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return a shard for every metric and runs shard, metric by metric."""
        return shards_by_model(METRICS, self.models(manifest), manifest)

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the seconds that all outputs take by their metrics' costs, and their bytes."""
        return estimate_metrics(manifest, self.models(manifest))

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return the estimate of the shard of the costliest network and metric."""
        return estimate_longest_shard(manifest, self.models(manifest))

    def work(self, context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
        """Score the shard's outputs and publish the numbers; goes on from its journal."""
        manifest = context.manifest
        spec = next(model for model in self.models(manifest) if model.name == shard.model)
        # Before the model is loaded: a missing or damaged input is told in a second.
        with open_shard(
            context.paths.shard(runs_shard_of(shard)), manifest_key=manifest.key
        ) as runs_shard:
            fix_threads(manifest.experiment.threads)
            [model] = load_all([spec], context.device)
            modalities = (spec.consumes, compared_by(spec))
            reader = _reader(context, shard, runs_shard, spec)
            header = begin_header(context, shard, _numerics(context, modalities), [(spec, model)])
            allow = context.allow_other_numerics
            with open_journal(checkpoint, header, allow_other_numerics=allow) as journal:
                _score_runs(context, model, reader, modalities, journal)
                arrays = metrics_arrays(reader, journal, len(model.components))
                names = list(model.components)
                publish_shard(
                    path, finish_header(context, header, journal, components=names), arrays
                )


def _reader(context: Context, shard: Shard, runs_shard: ShardFile, spec: ModelSpec) -> PairReader:
    manifest, against, compared = context.manifest, against_of(spec), compared_by(spec)
    role = against.removeprefix(ROLE) if against.startswith(ROLE) else ""
    return PairReader(
        runs_shard,
        (spec.consumes, compared),
        against,
        first_values(manifest, context.paths, shard, compared),
        role_pictures(manifest, context.paths, shard, role) if role else (),
        batch_size=spec.batch_size,
    )


def _numerics(context: Context, modalities: tuple[str, str]) -> Mapping[str, Any]:
    experiment = context.manifest.experiment
    own = numerics_class(context.device, experiment.threads)
    codecs = [codec_of(modality) for modality in dict.fromkeys(filter(None, modalities))]
    return with_codecs(own, codecs, experiment.images.codec)


def _score_runs(
    context: Context,
    model: MetricModel,
    reader: PairReader,
    modalities: tuple[str, str],
    journal: Journal,
) -> None:
    consumes, compared = modalities
    caller = caller_of(model, codec_of(consumes), codec_of(compared or consumes))

    def score(position: int, batches: Iterator[Any]) -> tuple[dict[str, Any], list[bytes]]:
        steps = [step for step, _ in reader.pairs(position)]
        return recorded(steps, score_run(len(steps), batches, caller, len(model.components)))

    record_parts(context, METRICS, reader, len(reader.indices), journal, score)


PLUGINS = (MetricsStage(),)
