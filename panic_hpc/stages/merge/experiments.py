"""Merging experiments by their directories: which shards they should have, and those there are."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from panic_hpc.disk.spool import Spool
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.inputs import Input, MergeInputs, as_missing, require_enough, split_missing
from panic_hpc.merging.merge import Merged, join
from panic_hpc.merging.ranks import Alone, Ranks, first
from panic_hpc.merging.unify import ExperimentInfo, NetworkInfo, unify
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.base import Stage, installed_stages
from panic_hpc.store.results.base import all_kinds
from panic_hpc.types import MERGE, ModelSpec

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

Pictures = Literal["copy", "reference"]
"""What becomes of pictures: they come into the dataset, or stay in their shards."""


def merge(
    roots: Sequence[Path], target: Path, options: MergeOptions, ranks: Ranks | None = None
) -> Merged:
    """Merge the experiments in `roots` into the dataset `target`, replacing it atomically.

    Where `options.refer` is None the experiments say what becomes of their pictures. Raises
    ManifestError where shards are missing, and what `join` raises.
    """
    ranks = ranks or Alone()
    with Spool[Input](target) as there:
        inputs, refer = first(ranks, lambda: _inputs(roots, options, there))
        return join(replace(inputs, there=there), target, replace(options, refer=refer), ranks)


def pictures_of(manifests: "Sequence[Manifest]") -> Pictures:
    """Return what all experiments say of their pictures in `[merge]`; "copy" where they differ."""
    told = {one.experiment.stage_table(MERGE).get("images") for one in manifests}
    return "reference" if told == {"reference"} else "copy"


def merged_stages() -> list[Stage]:
    """Return the stages whose results go into a dataset, each after those it reads."""
    return [stage for name, stage in installed_stages().items() if name in all_kinds()]


def expected(
    manifest: "Manifest", paths: ExperimentPaths, number: int, labels: dict[str, str]
) -> Iterator[Input]:
    """Yield the shards of every stage that a dataset takes in, by stage and number."""
    for stage in merged_stages():
        for shard in stage.shards(manifest):
            label = labels.get(shard.model, shard.model)
            yield Input(number, shard, paths.shard(shard), manifest.key, label)


def _inputs(
    roots: Sequence[Path], options: MergeOptions, there: Spool[Input]
) -> tuple[MergeInputs, bool]:
    """Append to `there` the shards that are there; return the rest of what a merge starts from."""
    from panic_hpc.planning import manifest

    manifests = [manifest.read(root) for root in roots]
    experiments = [
        experiment_info(one, root.resolve().name, ExperimentPaths(root))
        for one, root in zip(manifests, roots, strict=True)
    ]
    labels = unify(experiments).labels
    inputs = (
        one
        for number, root in enumerate(roots)
        for one in expected(manifests[number], ExperimentPaths(root), number, labels[number])
    )
    missing = split_missing(inputs, there)
    require_enough(there, missing, options.allow_missing)
    paths = [ExperimentPaths(root) for root in roots]
    given = MergeInputs(
        experiments,
        (),
        [as_missing(one) for one in missing],
        [path for one in paths for path in (one.manifest, one.prompts)],
        paths[0].dataset if len(paths) == 1 else None,
    )
    is_told = pictures_of(manifests) == "reference"
    return given, is_told if options.refer is None else options.refer


def _models_of_shards(manifest: "Manifest") -> tuple[ModelSpec, ...]:
    """Return the models that shards belong to, each once."""
    named = [model for stage in merged_stages() for model in stage.models(manifest)]
    return tuple({model.name: model for model in (*manifest.embedding_models, *named)}.values())


def experiment_info(
    manifest: "Manifest", source: str, paths: ExperimentPaths | None = None
) -> ExperimentInfo:
    """Return what a dataset keeps of a manifest; `source` names its directory for people.

    Without `paths` there is nowhere to take the pictures of prompts from.
    """
    config = manifest.experiment.model_dump(mode="json", exclude={"prompts"})
    return ExperimentInfo(
        manifest.key,
        str(config.get("name") or ""),
        source,
        config,
        tuple(manifest.prompts),
        tuple(NetworkInfo(network.key, tuple(network.models)) for network in manifest.networks),
        _models_of_shards(manifest),
        manifest.n_runs,
        _pictures(manifest, paths) if paths else {},
    )


def _pictures(manifest: "Manifest", paths: ExperimentPaths) -> dict[str, Path]:
    digests = {digest for prompt in manifest.prompts for _, digest in prompt.pictures}
    return {digest: paths.input(digest) for digest in digests}
