"""The merge stage: the shards of an experiment become its dataset."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from panic_hpc import installed
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.merge import merge
from panic_hpc.stages.base import Context, Estimate
from panic_hpc.store.completeness import dataset_problem
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, MERGE, RUNS, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

# One process that also checks what it copied; ranks on several nodes are faster.
COPY_BYTES_PER_S = 0.5e9


class MergeStage:
    """Joins the shards of an experiment into its dataset."""

    name = MERGE
    after = (RUNS, EMBEDDINGS, DIAGRAMS)

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return the one shard, whose file is the dataset and whose inputs are all others."""
        stages = installed.plugins("stages")
        inputs = tuple(
            shard.id
            for name in self.after
            if name in stages
            for shard in stages[name].shards(manifest)
        )
        return (Shard(MERGE, 0, "", 0, manifest.n_runs, inputs),)

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the time to copy what the other stages are estimated to publish."""
        stages = installed.plugins("stages")
        nbytes = sum(
            stages[name].estimate(manifest).nbytes for name in self.after if name in stages
        )
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
