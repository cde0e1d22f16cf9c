"""The plan of a merge: every rank makes the same one from what the shards hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.keys import content_key
from panic_hpc.store.dataset_tables import Collection
from panic_hpc.store.digest import run_edges
from panic_hpc.store.join import MISSING, Source, place_runs, stage_models, trace
from panic_hpc.store.layout import ArrayPlan, Table, cost, make_table, plan_arrays, units
from panic_hpc.store.reader import ArrayFile
from panic_hpc.store.unify import ExperimentInfo, unify


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What comes from where; `inputs_key` is equal for equal inputs, `total_cost` for sharing."""

    collection: Collection
    tables: Sequence[Table]
    arrays: Mapping[str, ArrayPlan]
    inputs_key: str
    total_cost: int

    @property
    def nbytes(self) -> int:
        """Size of what comes from shards."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def n_blocks(self) -> int:
        """Rows of the checksums table that these arrays have."""
        return max((array.blocks[1] for array in self.arrays.values()), default=0)


def make_plan(
    experiments: Sequence[ExperimentInfo],
    sources: Sequence[Source],
    missing: Sequence[Mapping[str, Any]],
) -> MergePlan:
    """Return the plan; ConflictError where two shards contradict each other about one run."""
    places = place_runs(sources, [experiment.n_runs for experiment in experiments])
    traces = {key: trace(sources, *key, places) for key in stage_models(sources)}
    traces = {key: found for key, found in traces.items() if np.any(found.source != MISSING)}
    collection = Collection(experiments, unify(experiments), sources, places, traces, missing)
    tables = [
        make_table(stage, model, found.parts(), sources, edges_in_file)
        for (stage, model), found in traces.items()
    ]
    arrays = plan_arrays(tables)
    total = sum(cost(unit.nbytes) for unit in units(tables, arrays, sources))
    return MergePlan(collection, tables, arrays, _inputs_key(experiments, sources), total)


def edges_in_file(source: Source) -> Mapping[str, NDArray[np.int64]]:
    """Return where the runs of a source begin and end in each of its dimensions."""
    with ArrayFile(Path(source.path)) as file:
        return run_edges(file, source.stage)


def _inputs_key(experiments: Sequence[ExperimentInfo], sources: Sequence[Source]) -> str:
    return content_key(
        [[experiment.key for experiment in experiments], [source.key for source in sources]]
    )
