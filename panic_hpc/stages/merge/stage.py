"""The merge stage: the shards of an experiment become its dataset."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.stages.merge.experiments import merge, merged_stages
from panic_hpc.store.completeness import dataset_problem
from panic_hpc.store.results.base import all_kinds
from panic_hpc.types import MERGE, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

# One process that also checks what it copied; ranks on several nodes are faster.
COPY_BYTES_PER_S = 0.5e9


class MergeStage:
    """Joins the shards of an experiment into its dataset."""

    name = MERGE

    @property
    def after(self) -> tuple[str, ...]:
        """All stages whose results go into a dataset."""
        return tuple(all_kinds())

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return the one shard, whose file is the dataset and whose inputs are all others."""
        inputs = tuple(shard.id for stage in merged_stages() for shard in stage.shards(manifest))
        return (Shard(MERGE, 0, "", 0, manifest.n_runs, inputs),)

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the time to copy what the other stages are estimated to publish."""
        nbytes = sum(stage.estimate(manifest).nbytes for stage in merged_stages())
        return Estimate(0.0, nbytes / COPY_BYTES_PER_S, nbytes)

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the dataset, unless one is there that lacks no shard."""
        path = context.paths.dataset
        if path.exists() and not dataset_problem(path):
            return
        # 30 s: a merge checks between pieces of its copy, and nothing of it can be resumed.
        options = MergeOptions(should_stop=lambda: context.should_stop(30.0), report=context.report)
        merge([context.paths.root], path, options)


PLUGINS = (MergeStage(),)
