"""Checking published files against every rule of the format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.errors import DiskError, ShardError
from panic_hpc.store.checks.content import (
    content_key_problems,
    digest_problems,
    image_problems,
    n_undecoded,
    not_repeatable,
    prompt_picture_problems,
    text_problems,
)
from panic_hpc.store.checks.file import hdf5_problems, known_problems, sum_problems
from panic_hpc.store.checks.rules import (
    REDO_DATASET,
    REDO_REFERRED,
    REDO_SHARD,
    Finding,
    RefusedError,
)
from panic_hpc.store.checks.sampling import ALL, Sample
from panic_hpc.store.checks.tables import dataset_problems, shard_problems
from panic_hpc.store.format.file_digest import digest_problem
from panic_hpc.store.format.header import DATASET
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.base import Problem
from panic_hpc.store.results.section import n_undigested

# One cause can break a rule for each of 100,000 runs.
MAX_PER_RULE = 20

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What checking one file found; `content_key` of a dataset, "" of others.

    `n_incomplete` counts diagrams that time or memory stopped: no finding, but no whole result.
    `n_undecoded` counts pictures that could not be tried, since Pillow is not installed.
    `not_repeatable` names models that may give another output when they are asked again.
    `unchecked` says why a file among others could not be read, "" where it was.
    """

    path: Path
    kind: str
    content_key: str
    findings: tuple[Finding, ...]
    n_incomplete: int = 0
    n_undecoded: int = 0
    not_repeatable: tuple[str, ...] = ()
    unchecked: str = ""


def verify_file(
    path: Path, sample: Sample = ALL, report: Report = lambda done, total: None
) -> Verified:
    """Check a shard or dataset; `sample` limits which images are decoded and which bytes read.

    A file that cannot be opened at all has one finding. PanicError
    where there is none, or the system does not let it be read.
    """
    try:
        file = ArrayFile(path)
    except RefusedError as error:
        hint = error.hint or REDO_SHARD
        return Verified(path, "", "", (Finding(error.rule, str(path), error.message, hint),))
    with file:
        hint = REDO_DATASET if file.kind == DATASET else REDO_SHARD
        found = tuple(
            Finding(rule, str(path), sentence, REDO_REFERRED if rule == "F08" else hint)
            for rule, sentence in _limited(_problems(file, sample, report))
        )
        key = str(file.header.get("content_key", ""))
        n_incomplete = 0 if found else n_undigested(file)
        passing = () if found else not_repeatable(file)
        return Verified(path, file.kind, key, found, n_incomplete, n_undecoded(file), passing)


def verify_among_others(path: Path, sample: Sample, report: Report) -> Verified:
    """Check a file as `verify_file` does; one that cannot be read is told as `unchecked`."""
    try:
        return verify_file(path, sample, report)
    except (ShardError, DiskError) as error:
        return Verified(path, "", "", (), unchecked=str(error))


def _limited(problems: Iterator[Problem]) -> Iterator[Problem]:
    counts: dict[str, int] = {}
    for rule, sentence in problems:
        counts[rule] = counts.get(rule, 0) + 1
        if counts[rule] <= MAX_PER_RULE:
            yield rule, sentence
    for rule, count in counts.items():
        if count > MAX_PER_RULE:
            yield rule, f"and {count - MAX_PER_RULE} more like these"


def _problems(file: ArrayFile, sample: Sample, report: Report) -> Iterator[Problem]:
    """Yield what is wrong, from the outside in; where one layer is broken, the next is not read."""
    outside = [*hdf5_problems(file), *known_problems(file)]
    yield from outside
    damaged = list(sum_problems(file, sample, report))
    yield from damaged
    is_dataset = file.kind == DATASET
    if is_dataset and (said := digest_problem(file)):
        yield "F07", said
    if damaged or any(rule in ("S01", "F04") for rule, _ in outside):
        return
    inside = list(dataset_problems(file) if is_dataset else shard_problems(file))
    yield from inside
    if inside:
        return
    yield from digest_problems(file, sample)
    if is_dataset:
        yield from content_key_problems(file)
    yield from text_problems(file)
    yield from image_problems(file, sample)
    yield from prompt_picture_problems(file)
