"""The plan of a merge: every rank makes the same one from what the shards hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc.errors import ConflictError
from panic_hpc.keys import content_key_of_lists
from panic_hpc.merging.dataset_file import Contents, made
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import CALL_BYTES, ArrayPlan, Table, make_table, plan_arrays
from panic_hpc.merging.referring import reference_arrays
from panic_hpc.merging.run_sources import (
    MISSING,
    RunSources,
    Source,
    Sources,
    place_runs,
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
    """The bytes of a dataset that come from elsewhere."""

    tables: Sequence[Table]
    arrays: Mapping[str, ArrayPlan]
    sources: Sequence[Source]
    unified: Unified

    @property
    def nbytes(self) -> int:
        """Size of what comes from elsewhere."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def total_cost(self) -> int:
        """What ranks share: what `bytes_to_copy` says of all units together."""
        # Every unit but those that are computed is one block, and these cost as much as theirs.
        n_blocks = max(
            (last for _, last in (one.blocks for one in self.arrays.values())), default=0
        )
        return self.nbytes + CALL_BYTES * n_blocks


@dataclass(frozen=True)
class MergePlan:
    """What is in the dataset and what comes from where."""

    collection: Collection
    job: CopyPlan
    refer_from: Path | None = None

    @cached_property
    def inputs_key(self) -> str:
        """The key of the very shard files, in their order."""
        experiments = (one.key for one in self.collection.experiments)
        return content_key_of_lists(experiments, (one.key for one in self.collection.sources))

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
    sources: Sources,
    missing: Sequence[Mapping[str, Any]],
    refer_from: Path | None = None,
) -> MergePlan:
    """Return the plan; ConflictError where two shards contradict each other about one run.

    With `refer_from` pictures stay in their shards, which must lie below that folder.
    """
    places = place_runs(sources, [experiment.n_runs for experiment in experiments])
    _require_agreement(experiments, sources)
    traces = {key: trace(sources, *key, places) for key in sources.parts}
    # Shards of a model can be there for runs that are not.
    traces = {key: found for key, found in traces.items() if np.any(found.source != MISSING)}
    collection = Collection(experiments, unify(experiments), sources, places, traces, missing)
    job = make_job(traces, sources, collection.unified, refer=refer_from is not None)
    return MergePlan(collection, job, refer_from)


def _require_agreement(experiments: Sequence[ExperimentInfo], sources: Sources) -> None:
    """Raise ConflictError where results were made under settings that must be the same.

    What decides runs and embeddings is in the keys of networks and models, so such runs stand side
    by side as different ones; settings that no key covers must agree instead.
    """
    for (stage, model), part in sources.parts.items():
        own = sources.column("experiment")[sources.column("part") == part]
        # Neighbours suffice: being alike carries over from one to the next.
        for first, second in pairwise(np.unique(own).tolist()):
            one, two = experiments[first], experiments[second]
            if said := setting_differences(one.config, two.config, kind_of(stage).must_agree):
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
    return CopyPlan(tables, arrays, sources, unified)


def edges_in_file(source: Source) -> Edges:
    """Return where the runs of a source begin and end in each of its dimensions."""
    with opened(source) as file:
        return Section(file, source.kind).edges
