"""The merge itself: the shards of one experiment, or of many, become one dataset."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from panic_hpc.disk.spool import Spool
from panic_hpc.errors import ShardError
from panic_hpc.merging.assembling import MergeOptions, assemble
from panic_hpc.merging.inputs import InputPaths, MergeInputs, read_sources
from panic_hpc.merging.own_dataset import admit_dataset
from panic_hpc.merging.plan import MergePlan, plan_merge
from panic_hpc.merging.ranks import Ranks, first
from panic_hpc.merging.run_sources import Source, Sources
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.section import n_undigested


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge made; `is_new` is False where the dataset was up to date already.

    `n_incomplete` counts diagrams that time or memory stopped, which no content key covers;
    `referred_nbytes` are those of pictures that stayed in their shards.
    """

    path: Path
    content_key: str
    n_runs: int
    nbytes: int
    n_missing: int
    is_new: bool
    n_incomplete: int = 0
    referred_nbytes: int = 0


def join(inputs: MergeInputs, target: Path, options: MergeOptions, ranks: Ranks) -> Merged:
    """Merge shard files into the dataset `target`, replacing it atomically.

    A dataset of the same experiments is replaced, anything else only with `options.force`, and an
    input never. Raises ShardError where a shard is damaged or foreign, ConflictError where two
    contradict each other, PanicError where the disk is full or the target may not be replaced.
    Whatever fails, the previous dataset stays.
    """
    admit = partial(
        admit_dataset,
        target,
        [one.key for one in inputs.experiments],
        InputPaths(inputs),
        home=inputs.home,
        force=options.force,
    )
    first(ranks, admit)
    options = replace(options, admit=admit)
    with Spool[Source](target) as kept:
        sources = read_sources(inputs.there, kept, ranks)
        plans: list[MergePlan] = []
        # Every rank makes the plan, and append returns None: nothing large is sent round.
        ranks.each(lambda: plans.append(_plan(inputs, sources, target, options)))
        plan = plans[0]
        current = first(ranks, lambda: _up_to_date(target, plan, options))
        return current or _make(plan, target, options, ranks)


def _plan(inputs: MergeInputs, sources: Sources, target: Path, options: MergeOptions) -> MergePlan:
    folder = target.parent if options.refer else None
    return plan_merge(inputs.experiments, sources, inputs.missing, folder)


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
            if (file.references is not None) != bool(options.refer):
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
        n_undigested(file),
        file.references.entry.nbytes if file.references else 0,
    )


def _make(plan: MergePlan, target: Path, options: MergeOptions, ranks: Ranks) -> Merged:
    assemble(plan.job, plan.contents, target, options, ranks)
    return first(ranks, lambda: _reopened(target, plan))


def _reopened(target: Path, plan: MergePlan) -> Merged:
    with ArrayFile(target) as file:
        return _merged(target, file, plan, is_new=True)
