"""Checks of the tables: rows, offsets, row numbers, order, keys."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.checks.structure import (
    Problem,
    index_problems,
    name_problems,
    offset_problems,
    row_problems,
)
from panic_hpc.store.dataset.schema import dataset_name
from panic_hpc.store.format.digest import Rename, incomplete_rows, running_sum, same_name
from panic_hpc.store.format.header import DATASET
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.schema import SHARD_COLUMNS, required_names
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

_KEY = re.compile(rb"[0-9a-f]{32}")


def shard_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield what is wrong between the arrays of a shard."""
    stage = str(file.header.get("stage"))
    if stage not in SHARD_COLUMNS:
        yield "S01", f"it holds results of stage {stage!r}, which nothing installed here declares"
        return
    arrays = {name: (entry.dtype, entry.shape) for name, entry in file.entries.items()}
    wrong = list(name_problems(stage, arrays))
    yield from wrong
    if not wrong:
        yield from row_problems(file, stage)
        yield from _key_problems(_whole(file, "runs/key"))
        if np.any(np.diff(_whole(file, "runs/index")) != 1):
            yield "S07", "runs/index does not count consecutive runs"


def parts(file: ArrayFile) -> Iterator[tuple[str, str, Rename]]:
    """Yield (stage, model, name in the dataset of a name in a shard) of all parts of a dataset."""
    yield RUNS, "", partial(dataset_name, RUNS, "")
    for name in file.entries:
        found = re.fullmatch(rf"({EMBEDDINGS}|{DIAGRAMS})/([^/]+)/digest", name)
        if found:
            yield found[1], found[2], partial(dataset_name, found[1], found[2])


def n_incomplete_diagrams(file: ArrayFile) -> int:
    """Return how many diagrams of a shard or dataset were stopped by time or memory."""
    if file.kind == DATASET:
        all_parts = [(stage, rename) for stage, _, rename in parts(file)]
    else:
        all_parts = [(str(file.header.get("stage")), same_name)]
    return sum(
        len(incomplete_rows(file, rename)) for stage, rename in all_parts if stage == DIAGRAMS
    )


def dataset_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield what is wrong between the arrays of a dataset."""
    wrong = [problem for part in parts(file) for problem in _missing_names(file, *part)]
    yield from wrong
    if wrong:
        return
    for stage, _, rename in parts(file):
        yield from row_problems(file, stage, rename)
    yield from _run_count_problems(file)
    yield from _extra_problems(file)
    yield from _reference_problems(file)
    yield from _key_problems(_whole(file, "runs/key"))
    yield from _order_problems(file)


def _missing_names(file: ArrayFile, stage: str, model: str, rename: Rename) -> Iterator[Problem]:
    for name in sorted(required_names(stage)):
        if rename(name) and rename(name) not in file:
            yield "S01", f"{rename(name)} is missing"
    extras = {
        RUNS: ("runs/offsets", "runs/experiment", "runs/shard", "metadata", "prompts/group",
               "prompts/offsets", "prompts/values", "members/experiment", "members/index",
               "members/run", "shards/stage", "shards/model", "shards/experiment", "shards/index",
               "shards/key", "shards/offsets", "shards/values"),
        EMBEDDINGS: (f"{stage}/{model}/offsets", f"{stage}/{model}/shard"),
        DIAGRAMS: (f"{stage}/{model}/shard",),
    }  # fmt: skip
    for name in extras[stage]:
        if name not in file:
            yield "S01", f"{name} is missing"


def _whole(file: ArrayFile, name: str) -> NDArray[Any]:
    return file.slice(name, 0, file.rows(name))


def _run_count_problems(file: ArrayFile) -> Iterator[Problem]:
    n_runs = file.rows("runs/key")
    for stage, model, rename in parts(file):
        if file.rows(rename("runs/digest")) != n_runs:
            yield "S02", f"{stage}/{model} is about another number of runs than {n_runs}"
    for group, columns in (
        ("runs", ("experiment", "shard")),
        ("members", ("index", "run")),
        ("shards", ("model", "experiment", "index", "key")),
    ):
        first = {"runs": "key", "members": "experiment", "shards": "stage"}[group]
        for column in columns:
            if file.rows(f"{group}/{column}") != file.rows(f"{group}/{first}"):
                yield "S02", f"{group}/{column} and {group}/{first} differ in length"


def _extra_problems(file: ArrayFile) -> Iterator[Problem]:
    sums = [("runs/offsets", "runs/n_steps")]
    for stage, model, rename in parts(file):
        if stage == EMBEDDINGS:
            sums.append((f"{stage}/{model}/offsets", rename("runs/n_rows")))
    for offsets, counts in sums:
        if not np.array_equal(_whole(file, offsets), running_sum(_whole(file, counts))):
            yield "S03", f"{offsets} is not the running sum of {counts}"
    for group, first in (("prompts", "group"), ("shards", "stage")):
        edges = _whole(file, f"{group}/offsets")
        yield from offset_problems(f"{group}/offsets", edges)
        if len(edges) != file.rows(f"{group}/{first}") + 1:
            yield "S02", f"{group}/offsets does not fit {group}/{first}"
        if edges[-1] != file.rows(f"{group}/values"):
            yield "S03", f"{group}/offsets does not end with {group}/values"


def _reference_problems(file: ArrayFile) -> Iterator[Problem]:
    metadata = json.loads(_whole(file, "metadata").tobytes())
    n_runs, n_shards = file.rows("runs/key"), file.rows("shards/key")
    tables = {
        "runs/network": len(metadata["networks"]),
        "runs/prompt": file.rows("prompts/group"),
        "runs/experiment": len(metadata["experiments"]),
        "runs/shard": n_shards,
        "invocations/model": len(metadata["models"]),
        "members/experiment": len(metadata["experiments"]),
        "members/run": n_runs,
        "shards/experiment": len(metadata["experiments"]),
    }
    for name, count in tables.items():
        yield from index_problems(name, _whole(file, name), count)
    groups = len(metadata["prompt_groups"])
    yield from index_problems("prompts/group", _whole(file, "prompts/group"), groups, lowest=-1)
    for stage, model, _ in parts(file):
        if model:
            name = f"{stage}/{model}/shard"
            yield from index_problems(name, _whole(file, name), n_shards, lowest=-1)


def _key_problems(keys: NDArray[Any]) -> Iterator[Problem]:
    if len(np.unique(keys)) != len(keys):
        yield "S07", "runs/key has a key twice"
    wrong = [key for key in keys.tolist() if not _KEY.fullmatch(key)]
    if wrong:
        yield "S07", f"runs/key has {wrong[0]!r}, which is no key"


def _order_problems(file: ArrayFile) -> Iterator[Problem]:
    experiments, indices = _whole(file, "runs/experiment"), _whole(file, "runs/index")
    if np.any(np.lexsort((indices, experiments)) != np.arange(len(indices))):
        yield "S07", "runs are not ordered by experiment, then index"
