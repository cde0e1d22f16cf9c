"""The activations stage: stored pictures made again, while their model is listened to.

The runs stage stays as it is. On the numerics class of the runs every picture has to come out as
it was stored, which checks promise 1 each time; on another one those that differ are counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from panic_hpc.errors import ConflictError
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.loading import load_all, on_device
from panic_hpc.models.numerics import numerics_class
from panic_hpc.models.torch_setup import fix_threads
from panic_hpc.stages.activations.calls_again import Again, CallsReader
from panic_hpc.stages.activations.settings import ActivationsSettings, problems_of
from panic_hpc.stages.activations.shard_arrays import activations_arrays, recorded
from panic_hpc.stages.base import Context, Estimate, stage_settings
from panic_hpc.stages.calls import filled_batch
from panic_hpc.stages.codecs.base import codec_of, with_codecs
from panic_hpc.stages.journalled import (
    JournalledStage,
    record_parts,
    runs_shard_of,
    shards_by_model,
)
from panic_hpc.stages.shard_header import begin_header, finish_header
from panic_hpc.store.format.shard import open_shard, publish_shard
from panic_hpc.store.journal import open_journal
from panic_hpc.store.results.activations import ACTIVATIONS
from panic_hpc.types import RUNS, ModelSpec, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

# A vector of a few hundred components with its place, at some ten layers and passes.
ROW_BYTES = 100_000
SLOWER = 1.1
"""How much longer a call takes that is listened to, roughly."""


class ActivationsStage(JournalledStage):
    """The stage that listens; a shard has the runs of one runs shard through one model."""

    name = ACTIVATIONS
    after: tuple[str, ...] = (RUNS,)
    settings: type[BaseModel] | None = ActivationsSettings

    def problems(self, experiment: Experiment, specs: Mapping[str, ModelSpec]) -> list[str]:
        """Return what keeps the models from being listened to."""
        return problems_of(experiment, specs)

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return a shard for every model and runs shard, model by model."""
        return shards_by_model(ACTIVATIONS, self.models(manifest), manifest)

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return what making all pictures of the models again takes."""
        n_calls = {
            spec.name: sum(
                network.n_runs * len(range(place, network.max_length, len(network.models)))
                for network in manifest.networks
                for place, model in enumerate(network.models)
                if model.name == spec.name
            )
            for spec in self.models(manifest)
        }
        seconds = sum(n * manifest.seconds[name] for name, n in n_calls.items())
        return Estimate(SLOWER * seconds, 0.0, ROW_BYTES * sum(n_calls.values()))

    def work(self, context: Context, shard: Shard, path: Path, checkpoint: Path) -> None:
        """Make the shard's pictures again and publish what was heard; goes on from its journal."""
        manifest = context.manifest
        spec = next(model for model in self.models(manifest) if model.name == shard.model)
        locations = stage_settings(self, manifest).locations
        source_path = context.paths.shard(runs_shard_of(shard))
        with open_shard(source_path, manifest_key=manifest.key) as source:
            reader = CallsReader(manifest, context.paths, shard, source, shard.model)
            fix_threads(manifest.experiment.threads)
            [model] = load_all([spec], context.device)
            experiment = manifest.experiment
            own = numerics_class(context.device, experiment.threads)
            numerics = with_codecs(own, [codec_of(spec.produces)], experiment.images.codec)
            header = begin_header(context, shard, numerics, [(spec, model)])
            must_agree = _is_same_class(source.header.get("numerics"), numerics)
            allow = context.allow_other_numerics
            with open_journal(checkpoint, header, allow_other_numerics=allow) as journal:
                with model.hearing(locations) as heard:

                    def work(_: int, parts: Iterator[Again]) -> tuple[dict[str, Any], list[bytes]]:
                        [call] = parts
                        return _heard_in(call, model, heard, must_agree)

                    record_parts(context, ACTIVATIONS, reader, len(reader.calls), journal, work)
                arrays = activations_arrays(source, journal)
                publish_shard(path, finish_header(context, header, journal), arrays)


def _is_same_class(of_runs: Any, own: Mapping[str, Any]) -> bool:
    """Say whether the runs were made on the numerics class of here; codecs aside."""
    if not isinstance(of_runs, Mapping):
        return False
    return {k: v for k, v in of_runs.items() if k != "codecs"} == {
        k: v for k, v in own.items() if k != "codecs"
    }


def _heard_in(
    call: Again, model: Any, heard: Any, must_agree: bool
) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of one call: what was heard of each of its runs."""
    first = call.runs.start
    slots = {place - first: item for place, item in call.items.items()}
    given = filled_batch(slots, model.spec.batch_size)
    inputs, seeds, turns = (list(one) for one in zip(*given, strict=True))
    more = [turns] if model.wants_turn else []
    outputs = on_device(model, partial(model.generate, inputs, seeds, *more))
    vectors, differing = {}, {}
    for place in call.items:
        differing[place] = int(_differs(call, place, outputs[place - first], must_agree))
        vectors[place] = {key: of[place - first] for key, of in heard.rows.items()}
    return recorded(call.step, vectors, differing)


def _differs(call: Again, place: int, output: Any, must_agree: bool) -> bool:
    stored = call.stored.get(place)
    differs = stored is not None and not np.array_equal(stored, output.value)
    if differs and must_agree:
        raise ConflictError(
            f"The picture of run {place} of the shard at step {call.step} comes out otherwise than "
            "it was stored, on the same numerics class",
            hint="See `panic-hpc doctor`; a model that is not repeatable cannot be captured",
        )
    return differs


PLUGINS = (ActivationsStage(),)
