"""What the files of an experiment say about its shards: one listing a directory."""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from panic_hpc.execution.claims import Claim, Standing, holder, standing
from panic_hpc.execution.experiment import Experiment
from panic_hpc.execution.failures import Failure, read_failure
from panic_hpc.execution.identity import is_running
from panic_hpc.files import read_json
from panic_hpc.store.completeness import dataset_problem
from panic_hpc.types import MERGE, Shard, ShardId

NUMBERED = re.compile(r"(?P<stage>[a-z_]+)_(?P<index>\d+)\.(h5|json)")


@dataclass(frozen=True, slots=True)
class Survey:
    """The files' word: shards published, failed and claimed, and what each claim is worth.

    `remarks` say what published shards lack, `dataset_problem` why a dataset that is there must be
    made anew.
    """

    published: frozenset[ShardId]
    failures: dict[ShardId, Failure]
    claims: dict[ShardId, tuple[Claim, Standing]]
    remarks: dict[ShardId, str] = field(default_factory=dict)
    dataset_problem: str = ""


def survey(experiment: Experiment) -> Survey:
    """Read the directories of an experiment once."""
    paths = experiment.paths
    problem = dataset_problem(paths.dataset)
    # A shard that is published between this listing and that of claims reads as eligible or lost
    # until the next look; a worker that is sent for it finds its file.
    published = frozenset(_published(experiment, problem))
    failures = {i: read_failure(p) for i, p in _numbered(paths.failed) if i not in published}
    # Opened for unfinished shards alone, so that the cost goes with what is under way.
    claimed = {i: holder(p)[0] for i, p in _numbered(paths.claims) if i not in published}
    now = time.time()
    return Survey(
        published,
        {i: failure for i, failure in failures.items() if failure},
        {i: (claim, _worth(claim, now)) for i, claim in claimed.items() if claim},
        {i: str(read_json(p)["remark"]) for i, p in _numbered(paths.remarks) if i in published},
        problem,
    )


def _worth(claim: Claim, now: float) -> Standing:
    return standing(claim, None, is_running(claim.owner), now)


def _published(experiment: Experiment, problem: str) -> Iterable[ShardId]:
    for stage in experiment.stages:
        directories = {shard.model for shard in experiment.shards(stage)}
        for model in directories:
            directory = experiment.paths.stage_directory(stage, model)
            yield from (i for i, _ in _numbered(directory) if i.stage == stage)
    if not problem and experiment.paths.dataset.exists():
        yield from (shard.id for shard in _merge_shards(experiment))


def _merge_shards(experiment: Experiment) -> Iterable[Shard]:
    return experiment.shards(MERGE) if MERGE in experiment.stages else ()


def _numbered(directory: Path) -> Iterable[tuple[ShardId, Path]]:
    try:
        # One listing: a stat a shard is a question to the metadata server each.
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        # Leaves out temporaries, and successor files of claims: their names begin with a dot.
        if match := NUMBERED.fullmatch(name):
            yield ShardId(match["stage"], int(match["index"])), directory / name
