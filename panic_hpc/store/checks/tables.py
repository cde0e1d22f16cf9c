"""Checks of the tables: rows, offsets, row numbers, order, keys."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.checks.structure import (
    index_problems,
    name_problems,
    offset_problems,
    row_problems,
)
from panic_hpc.store.dataset.metadata import metadata_problems, read_metadata
from panic_hpc.store.dataset.schema import PICTURES, TABLES
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.base import Problem, all_kinds
from panic_hpc.store.results.section import Section, dataset_sections, shard_section

_KEY = re.compile(rb"[0-9a-f]{32}")


def shard_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield what is wrong between the arrays of a shard."""
    stage = str(file.header.get("stage"))
    if stage not in all_kinds():
        yield "S01", f"it holds results of stage {stage!r}, which nothing installed here declares"
        return
    section = shard_section(file)
    arrays = {name: (entry.dtype, entry.shape) for name, entry in file.entries.items()}
    wrong = list(name_problems(section.kind, arrays))
    yield from wrong
    if not wrong:
        yield from row_problems(section)
        yield from _key_problems(file.whole("runs/key"))
        if np.any(np.diff(file.whole("runs/index")) != 1):
            yield "S07", "runs/index does not count consecutive runs"


def dataset_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield what is wrong between the arrays of a dataset."""
    found = list(dataset_sections(file))
    wrong = [problem for section in found for problem in _missing_names(section)]
    wanted = (*TABLES, *(PICTURES if PICTURES[0].name in file else ()))
    wrong += [("S01", f"{c.name} is missing") for c in wanted if c.name not in file]
    yield from wrong
    if wrong:
        return
    for section in found:
        yield from row_problems(section)
    yield from _run_count_problems(file, found)
    tables = list(_table_problems(file))
    yield from tables
    if tables:
        return
    malformed = list(metadata_problems(file))
    yield from (("S08", sentence) for sentence in malformed)
    if malformed:
        return
    for section in found:
        yield from _added_offset_problems(section)
    yield from _reference_problems(file, found)
    yield from _key_problems(file.whole("runs/key"))
    yield from _order_problems(file)


def _missing_names(section: Section) -> Iterator[Problem]:
    wanted = [section.place(name) for name in sorted(section.kind.required)]
    wanted += [column.name for column in section.kind.added_columns(section.model)]
    for name in wanted:
        if name and name not in section.file:
            yield "S01", f"{name} is missing"


def _run_count_problems(file: ArrayFile, found: Sequence[Section]) -> Iterator[Problem]:
    n_runs = file.rows("runs/key")
    for section in found:
        if section.n_runs != n_runs:
            yield "S02", f"{section} is about another number of runs than {n_runs}"
        for column in section.kind.added_columns(section.model):
            if file.rows(column.name) != n_runs + column.edges:
                yield "S02", f"{column.name} is about another number of runs than {n_runs}"


def _table_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield where columns of one of the dataset's own tables differ in length."""
    for table in ("members", "prompts", "shards", "pictures"):
        own = [column for column in (*TABLES, *PICTURES) if column.group == table]
        if own[0].name not in file:
            continue
        for column in own:
            if column.rows == own[0].rows:
                rows = file.rows(column.name) - column.edges
                if rows != file.rows(own[0].name):
                    yield "S02", f"{column.name} and {own[0].name} differ in length"
            if column.edges:
                edges = file.whole(column.name)
                yield from offset_problems(column.name, edges)
                if edges[-1] != file.rows(f"{table}/values"):
                    yield "S03", f"{column.name} does not end with {table}/values"


def _added_offset_problems(section: Section) -> Iterator[Problem]:
    for column in section.kind.added_columns(section.model):
        if not column.edges:
            continue
        if not np.array_equal(section.file.whole(column.name), section.edges[column.index]):
            counted = section.place(section.kind.rows_per_run[column.index].column)
            yield "S03", f"{column.name} is not the running sum of {counted}"


def _reference_problems(file: ArrayFile, found: Sequence[Section]) -> Iterator[Problem]:
    metadata = read_metadata(file)
    n_experiments, n_shards = len(metadata["experiments"]), file.rows("shards/key")
    tables = {
        "network": len(metadata["networks"]),
        "prompt": file.rows("prompts/group"),
        "model": len(metadata["models"]),
    }
    for section in found:
        for column in section.columns():
            if column.index in tables:
                rows = section.whole(column.name)
                yield from index_problems(section.place(column.name), rows, tables[column.index])
        (name,) = (c.name for c in section.kind.added_columns(section.model) if c.index == "shard")
        lowest = 0 if section.kind.defines_runs else -1
        yield from index_problems(name, file.whole(name), n_shards, lowest=lowest)
    for name, count in (
        ("runs/experiment", n_experiments),
        ("members/experiment", n_experiments),
        ("members/run", file.rows("runs/key")),
        ("shards/experiment", n_experiments),
    ):
        yield from index_problems(name, file.whole(name), count)
    groups = len(metadata["prompt_groups"])
    yield from index_problems("prompts/group", file.whole("prompts/group"), groups, lowest=-1)
    if PICTURES[0].name in file:
        roles = len(metadata.get("picture_roles", ()))
        yield from index_problems("pictures/role", file.whole("pictures/role"), roles)
        prompts = tables["prompt"]
        yield from index_problems("pictures/prompt", file.whole("pictures/prompt"), prompts)
        if len(metadata.get("prompt_names", ())) not in (0, prompts):
            yield "S08", "metadata has not as many names of prompts as there are prompts"


def _key_problems(keys: NDArray[Any]) -> Iterator[Problem]:
    if len(np.unique(keys)) != len(keys):
        yield "S07", "runs/key has a key twice"
    wrong = [key for key in keys.tolist() if not _KEY.fullmatch(key)]
    if wrong:
        yield "S07", f"runs/key has {wrong[0]!r}, which is no key"


def _order_problems(file: ArrayFile) -> Iterator[Problem]:
    experiments, indices = file.whole("runs/experiment"), file.whole("runs/index")
    if np.any(np.lexsort((indices, experiments)) != np.arange(len(indices))):
        yield "S07", "runs are not ordered by experiment, then index"
