"""The embeddings stage: every output of a model's modality, and the prompt itself, as a vector."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc.models.base import EmbeddingModel
from panic_hpc.models.loading import load_all
from panic_hpc.models.numerics import numerics_class
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.stages.codecs.base import codec_of, with_codecs
from panic_hpc.stages.embeddings.estimate import estimate_embeddings, estimate_longest_shard
from panic_hpc.stages.embeddings.one_run import Reader, caller_of, embed, recorded
from panic_hpc.stages.embeddings.shard_arrays import embeddings_arrays
from panic_hpc.stages.journalled import (
    JournalledStage,
    record_parts,
    runs_shard_of,
    shards_by_model,
)
from panic_hpc.stages.outputs import Outputs
from panic_hpc.stages.prompt_inputs import first_values
from panic_hpc.stages.shard_header import begin_header, finish_header
from panic_hpc.store.format.shard import open_shard, publish_shard
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.types import EMBEDDINGS, RUNS, ModelSpec, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


class EmbeddingsStage(JournalledStage):
    """The stage that embeds; a shard has the runs of one runs shard under one model."""

    name = EMBEDDINGS
    after = (RUNS,)

    def models(self, manifest: "Manifest") -> tuple[ModelSpec, ...]:
        """Return the embedding models."""
        return manifest.embedding_models

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return a shard for every embedding model and runs shard, model by model."""
        return shards_by_model(EMBEDDINGS, manifest.embedding_models, manifest)

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the seconds that all outputs take by their models' costs, and their bytes."""
        return estimate_embeddings(manifest)

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return the estimate of the shard of the costliest network and model."""
        return estimate_longest_shard(manifest)

    def work(self, context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
        """Embed the shard's outputs and publish the vectors; goes on from its journal."""
        manifest = context.manifest
        spec = next(model for model in manifest.embedding_models if model.name == shard.model)
        source = context.paths.shard(runs_shard_of(shard))
        # Before the model is loaded: a missing or damaged input is told in a second, not after
        # minutes.
        with open_shard(source, manifest_key=manifest.key) as runs_shard:
            fix_threads(manifest.experiment.threads)
            [model] = load_all([spec], context.device)
            numerics = _numerics(context, spec)
            header = begin_header(context, shard, numerics, [(spec, model)])
            allow = context.allow_other_numerics
            with open_journal(checkpoint, header, allow_other_numerics=allow) as journal:
                outputs = Outputs(runs_shard, spec.consumes)
                prompts = first_values(manifest, context.paths, shard, spec.consumes)
                _embed_runs(context, model, prompts, outputs, journal)
                arrays, failures = embeddings_arrays(outputs, journal, model.dimension)
                publish_shard(
                    path, finish_header(context, header, journal, failures=failures), arrays
                )


def _numerics(context: Context, spec: ModelSpec) -> Mapping[str, Any]:
    experiment = context.manifest.experiment
    own = numerics_class(context.device, experiment.threads)
    return with_codecs(own, [codec_of(spec.consumes)], experiment.images.codec)


def _embed_runs(
    context: Context,
    model: EmbeddingModel,
    prompts: list[Any],
    outputs: Outputs,
    journal: Journal,
) -> None:
    codec = codec_of(model.spec.consumes)
    caller = caller_of(model, codec)
    reader = Reader(outputs, codec, prompts, caller.size)

    def embed_run(position: int, batches: Iterator[Any]) -> tuple[dict[str, Any], list[bytes]]:
        steps = reader.steps(position)
        return recorded(steps, embed(steps, batches, caller, model.dimension))

    record_parts(context, EMBEDDINGS, reader, len(outputs.indices), journal, embed_run)


PLUGINS = (EmbeddingsStage(),)
