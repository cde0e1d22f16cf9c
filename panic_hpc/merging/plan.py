"""The plan of a merge: every rank makes the same one from what the shards hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc.errors import ConflictError
from panic_hpc.keys import content_key
from panic_hpc.merging.dataset_file import Contents, made
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import ArrayPlan, Table, bytes_to_copy, make_table, plan_arrays, units
from panic_hpc.merging.referring import reference_arrays
from panic_hpc.merging.run_sources import (
    MISSING,
    RunSources,
    Source,
    place_runs,
    stage_models,
    trace,
)
from panic_hpc.merging.tables import Collection, lines, own_arrays
from panic_hpc.merging.unify import ExperimentInfo, Unified, setting_differences, unify
from panic_hpc.store.format.digest import dataset_content_key as dataset_key
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.rows import Edges
from panic_hpc.store.results.section import Section


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The bytes of a dataset that come from elsewhere; `total_cost` is what ranks share."""

    tables: Sequence[Table]
    arrays: Mapping[str, ArrayPlan]
    sources: Sequence[Source]
    unified: Unified
    total_cost: int

    @property
    def nbytes(self) -> int:
        """Size of what comes from elsewhere."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What is in the dataset and what comes from where; equal inputs have equal `inputs_key`."""

    collection: Collection
    job: CopyPlan
    inputs_key: str
    refer_from: Path | None = None

    def contents(self) -> Contents:
        """Return what no shard has: tables, the header's values, and what columns mean."""
        collection = self.collection
        values = {
            "content_key": dataset_key(lines(collection)),
            "inputs_key": self.inputs_key,
            "n_missing": len(collection.missing),
        }
        own = own_arrays(collection, made())
        if self.refer_from is not None:
            own |= reference_arrays(self.job.tables, self.job.sources, self.refer_from)
        return Contents(own, values, tuple(collection.traces))


def plan_merge(
    experiments: Sequence[ExperimentInfo],
    sources: Sequence[Source],
    missing: Sequence[Mapping[str, Any]],
    refer_from: Path | None = None,
) -> MergePlan:
    """Return the plan; ConflictError where two shards contradict each other about one run.

    With `refer_from` pictures stay in their shards, which must lie below that folder.
    """
    places = place_runs(sources, [experiment.n_runs for experiment in experiments])
    _require_agreement(experiments, sources)
    traces = {key: trace(sources, *key, places) for key in stage_models(sources)}
    # Shards of a model can be there for runs that are not.
    traces = {key: found for key, found in traces.items() if np.any(found.source != MISSING)}
    collection = Collection(experiments, unify(experiments), sources, places, traces, missing)
    job = make_job(traces, sources, collection.unified, refer=refer_from is not None)
    return MergePlan(collection, job, _inputs_key(experiments, sources), refer_from)


def _require_agreement(experiments: Sequence[ExperimentInfo], sources: Sequence[Source]) -> None:
    """Raise ConflictError where results were made under settings that must be the same.

    What decides runs and embeddings is in the keys of networks and models, so such runs stand side
    by side as different ones; settings that no key covers must agree instead.
    """
    # Neighbours in sorted order suffice: being alike carries over from one to the next.
    found = sorted({(source.stage, source.model, source.experiment) for source in sources})
    for (stage, model, first), (*other, second) in pairwise(found):
        one, two = experiments[first], experiments[second]
        said = setting_differences(one.config, two.config, kind_of(stage).must_agree)
        if [stage, model] == other and said:
            what = f"{stage} of {model}" if model else stage
            raise ConflictError(
                f"The {what} were made differently in {one.source} and {two.source}: {said}",
                hint="Merge these experiments into different datasets",
            )


def make_job(
    traces: Mapping[tuple[str, str], RunSources],
    sources: Sequence[Source],
    unified: Unified,
    *,
    refer: bool = False,
) -> CopyPlan:
    """Return what is to be copied for runs traced to rows of sources."""
    tables = [
        make_table(stage, model, found.parts(), sources, edges_in_file, refer=refer)
        for (stage, model), found in traces.items()
    ]
    arrays = plan_arrays(tables)
    total = sum(bytes_to_copy(unit.nbytes) for unit in units(tables, arrays, sources))
    return CopyPlan(tables, arrays, sources, unified, total)


def edges_in_file(source: Source) -> Edges:
    """Return where the runs of a source begin and end in each of its dimensions."""
    with opened(source) as file:
        return Section(file, source.kind).edges


def _inputs_key(experiments: Sequence[ExperimentInfo], sources: Sequence[Source]) -> str:
    return content_key(
        [[experiment.key for experiment in experiments], [source.key for source in sources]]
    )
