"""The merge stage: the shards of an experiment become its dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from panic_hpc.errors import ShardError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.ranks import first
from panic_hpc.paths import DATASET, ExperimentPaths
from panic_hpc.stages.base import ABSENT, Context, Estimate, Launch
from panic_hpc.stages.merge.experiments import Pictures, merge, merged_stages, pictures_of
from panic_hpc.store.results.base import all_kinds
from panic_hpc.types import MERGE, ModelSpec, Shard

if TYPE_CHECKING:
    from panic_hpc.experiment.config import Experiment
    from panic_hpc.planning.manifest import Manifest

# A merge checks between pieces of its copy, and nothing of it can be resumed.
MARGIN_S = 30.0
# One process that also checks what it copied; ranks on several nodes are faster.
COPY_BYTES_PER_S = 0.5e9


class MergeSettings(BaseModel):
    """What an experiment may say of its dataset.

    Attributes:
        images: "copy" puts pictures into the dataset, "reference" leaves them in their shards, to
            which the dataset refers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    images: Pictures = "copy"


class MergeStage:
    """Joins the shards of an experiment into its dataset."""

    name = MERGE
    settings = MergeSettings
    launch: Launch = "ranks"
    resumes = False

    @property
    def after(self) -> tuple[str, ...]:
        """All stages whose results go into a dataset."""
        return tuple(all_kinds())

    def problems(self, experiment: "Experiment", specs: Mapping[str, ModelSpec]) -> list[str]:
        """Return no problems: there is nothing to tell."""
        return []

    def models(self, manifest: "Manifest") -> tuple[ModelSpec, ...]:
        """Return none: a dataset has those of all stages."""
        return ()

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return the one shard, whose file is the dataset and whose inputs are all others."""
        inputs = tuple(shard.id for stage in merged_stages() for shard in stage.shards(manifest))
        return (Shard(MERGE, 0, "", 0, manifest.n_runs, inputs, file=DATASET),)

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the time to copy what the other stages are estimated to publish."""
        # What stays in its shard is read and compared, and not written.
        read, written = _published_bytes(manifest), _published_bytes(_as_copied(manifest))
        return Estimate(0.0, read / COPY_BYTES_PER_S, written)

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return the estimate of the one shard there is."""
        return self.estimate(manifest)

    def lacking(self, paths: ExperimentPaths, shard: Shard) -> str:
        """Return "" for a dataset of all shards, ABSENT, or why it must be made anew."""
        path = paths.shard(shard)
        if not path.exists():
            return ABSENT
        # Here, so that h5py is not loaded for the many experiments that have no dataset yet.
        from panic_hpc.store.dataset.dataset import open_dataset

        try:
            with open_dataset(path) as dataset:
                n_missing = int(dataset.file.header["n_missing"])
        except ShardError as error:
            return f"the dataset cannot be read: {error.message}"
        return f"the dataset there lacks {n_missing} shards" if n_missing else ""

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the dataset with all ranks, unless one is there that lacks no shard."""
        # One rank's word for all: another might find the dataset that the first has just made.
        if not first(context.ranks, lambda: self.lacking(context.paths, shard)):
            return
        options = MergeOptions(
            refer=None,
            should_stop=lambda: context.should_stop(MARGIN_S),
            report=context.report,
        )
        merge([context.paths.root], context.paths.shard(shard), options, context.ranks)


def _published_bytes(manifest: "Manifest") -> float:
    return sum(stage.estimate(manifest).nbytes for stage in merged_stages())


def _as_copied(manifest: "Manifest") -> "Manifest":
    """Return the experiment as if it had no pictures where these stay in their shards."""
    if pictures_of([manifest]) == "copy":
        return manifest
    experiment = manifest.experiment
    images = experiment.images.model_copy(update={"keep_every": 0})
    return replace(manifest, experiment=experiment.model_copy(update={"images": images}))


PLUGINS = (MergeStage(),)
