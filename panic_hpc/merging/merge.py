"""The merge itself: all shards of one experiment, or of many, become one dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from panic_hpc.errors import ShardError
from panic_hpc.merging.assembling import MergeOptions, assemble
from panic_hpc.merging.inputs import (
    MergeInputs,
    as_missing,
    expected,
    experiment_info,
    read_source,
    require_enough,
    split_missing,
)
from panic_hpc.merging.own_dataset import admit_dataset
from panic_hpc.merging.plan import MergePlan, make_plan
from panic_hpc.merging.ranks import Alone, Ranks, first
from panic_hpc.merging.unify import unify
from panic_hpc.paths import ExperimentPaths
from panic_hpc.store.checks.tables import n_incomplete_diagrams
from panic_hpc.store.format.reader import ArrayFile


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge made; `is_new` is False where the dataset was up to date already.

    `n_incomplete` counts diagrams that time or memory stopped, which no content key covers.
    """

    path: Path
    content_key: str
    n_runs: int
    nbytes: int
    n_missing: int
    is_new: bool
    n_incomplete: int = 0


def merge(
    roots: Sequence[Path], target: Path, options: MergeOptions, ranks: Ranks | None = None
) -> Merged:
    """Merge the experiments in `roots` into the dataset `target`, replacing it atomically.

    A dataset of the same experiments is replaced, anything else only with `options.force`, and an
    input never. Raises ManifestError where shards are missing, ShardError where one is damaged or
    foreign, ConflictError where two contradict each other, PanicError where the disk is full or
    the target may not be replaced. Whatever fails, the previous dataset stays.
    """
    ranks = ranks or Alone()
    return join(first(ranks, lambda: _inputs(roots, options)), target, options, ranks)


def join(inputs: MergeInputs, target: Path, options: MergeOptions, ranks: Ranks) -> Merged:
    """Merge shard files of known experiments: what `merge` does once it knows its inputs."""
    admit = partial(
        admit_dataset,
        target,
        [one.key for one in inputs.experiments],
        [*(one.path for one in inputs.there), *inputs.others],
        home=inputs.home,
        force=options.force,
    )
    first(ranks, admit)
    options = replace(options, admit=admit)
    there = inputs.there
    shared = ranks.each(lambda: [read_source(one) for one in there[ranks.rank :: ranks.size]])
    # Shards were dealt out to ranks in turn; this puts them back into their order.
    sources = [shared[number % ranks.size][number // ranks.size] for number in range(len(there))]
    plans: list[MergePlan] = []
    # Every rank makes the plan, and append returns None: nothing large is sent round.
    ranks.each(lambda: plans.append(make_plan(inputs.experiments, sources, inputs.missing)))
    plan = plans[0]
    current = first(ranks, lambda: _up_to_date(target, plan, options))
    return current or _make(plan, target, options, ranks)


def _inputs(roots: Sequence[Path], options: MergeOptions) -> MergeInputs:
    from panic_hpc.planning import manifest

    manifests = [manifest.read(root) for root in roots]
    experiments = [
        experiment_info(one, root.resolve().name)
        for one, root in zip(manifests, roots, strict=True)
    ]
    labels = unify(experiments).labels
    inputs = [
        one
        for number, root in enumerate(roots)
        for one in expected(manifests[number], ExperimentPaths(root), number, labels[number])
    ]
    there, missing = split_missing(inputs)
    require_enough(there, missing, options.allow_missing)
    paths = [ExperimentPaths(root) for root in roots]
    return MergeInputs(
        experiments,
        there,
        [as_missing(one) for one in missing],
        [path for one in paths for path in (one.manifest, one.prompts)],
        paths[0].dataset if len(paths) == 1 else None,
    )


def _up_to_date(target: Path, plan: MergePlan, options: MergeOptions) -> Merged | None:
    """Return what is there already, if it was made from these very shards and is not damaged."""
    if not target.exists():
        return None
    try:
        with ArrayFile(target) as file:
            # Keys of the very shard files, not of their content: other provenance is another
            # dataset.
            if file.header.get("inputs_key") != plan.inputs_key:
                return None
            if options.check:
                file.check_all()
            return _merged(target, file, plan, is_new=False)
    except ShardError:
        return None


def _merged(target: Path, file: ArrayFile, plan: MergePlan, is_new: bool) -> Merged:
    return Merged(
        target,
        file.header["content_key"],
        plan.collection.places.n_runs,
        file.size,
        len(plan.collection.missing),
        is_new,
        n_incomplete_diagrams(file),
    )


def _make(plan: MergePlan, target: Path, options: MergeOptions, ranks: Ranks) -> Merged:
    assemble(plan.job, plan.contents, target, options, ranks)
    return first(ranks, lambda: _reopened(target, plan))


def _reopened(target: Path, plan: MergePlan) -> Merged:
    with ArrayFile(target) as file:
        return _merged(target, file, plan, is_new=True)
