"""Assembling a dataset file with any number of ranks: lay out, share the copying, publish."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from panic_hpc.disk.blocks import writing
from panic_hpc.disk.publish import temporary_file
from panic_hpc.disk.system import named
from panic_hpc.errors import Interrupted
from panic_hpc.merging.copy_tasks import CopyTask, Target, carry_out
from panic_hpc.merging.dataset_file import Contents, Draft, begin, finish
from panic_hpc.merging.digests import stretches
from panic_hpc.merging.layout import bytes_to_copy, share, units
from panic_hpc.merging.plan import CopyPlan
from panic_hpc.merging.ranks import Ranks, first
from panic_hpc.merging.rebase import Rebase
from panic_hpc.store.format.reader import OpenArrays

# Hashing and copying let go of Python's lock; beyond some threads the disk decides.
THREADS = 4


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """What the user may choose: `check` reads all copied bytes back and compares checksums.

    `refer` leaves pictures in their shards, to which the dataset then refers; None is for whoever
    knows the experiments to decide, and copies where nobody does.
    `force` replaces what stands at the target and is no dataset of the same experiments. `admit`
    raises where the target may not be replaced, and is asked just before that happens.
    """

    check: bool = True
    allow_missing: bool = False
    force: bool = False
    refer: bool | None = False
    admit: Callable[[], None] = lambda: None
    should_stop: Callable[[], str] = str
    report: Callable[[int, int], None] = lambda done, total: None


def assemble(
    job: CopyPlan,
    contents: Callable[[], Contents],
    target: Path,
    options: MergeOptions,
    ranks: Ranks,
) -> None:
    """Publish the dataset `target`; `contents` is asked on rank 0 only."""
    with temporary_file(target) if ranks.rank == 0 else named(target) as temporary:
        draft = first(ranks, lambda: begin(temporary, target, contents(), job.arrays))
        ranks.each(lambda: _share(job, draft, options, ranks))
        # Again, hours after the first time.
        first(ranks, options.admit)
        first(ranks, lambda: finish(draft, job.arrays, target))


def _share(job: CopyPlan, draft: Draft, options: MergeOptions, ranks: Ranks) -> None:
    """Carry out this rank's share."""
    total = job.nbytes * (1 + options.check)

    every = units(job.tables, job.arrays, job.sources)
    own = share(every, job.total_cost, ranks.rank, ranks.size)
    # Made twice: a list would grow with the number of shards.
    runs = partial(stretches, job.tables if options.check else ())
    cost = sum(bytes_to_copy(one.nbytes) for one in runs())
    own_runs = share(runs(), cost, ranks.rank, ranks.size)

    def report(done: int) -> None:
        # Guessed from this rank's share: ranks send each other nothing while they work.
        options.report(min(done * ranks.size, total), total)
        if reason := options.should_stop():
            raise Interrupted(f"The merge into {draft.path.parent} stopped: {reason}")

    with writing(draft.path, is_durable=False) as descriptor:
        target = Target(OpenArrays(draft.path, descriptor, {}), draft.places)
        work = CopyTask(target, Rebase(job.tables, job.sources, job.unified), options.check)
        # As if all ranks were on this node, which is where too many threads would hurt.
        threads = max(1, min(THREADS, (os.cpu_count() or 1) // ranks.size))
        carry_out(work, own, own_runs, threads, report)
