"""Cutting a dataset into datasets of consecutive runs, each below a size."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.overwriting import admit
from panic_hpc.errors import PanicError
from panic_hpc.merging.assembling import MergeOptions, assemble
from panic_hpc.merging.dataset_file import Contents, made
from panic_hpc.merging.plan import make_job
from panic_hpc.merging.ranks import Alone
from panic_hpc.merging.run_sources import MISSING, RunPlaces, Source, Sources, trace
from panic_hpc.merging.tables import Arrays
from panic_hpc.merging.unify import Unified
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.format.digest import dataset_content_key, run_lines
from panic_hpc.store.format.file_digest import digest_path
from panic_hpc.store.format.references import require_whole
from panic_hpc.store.results.base import DIGEST
from panic_hpc.store.results.section import Section, dataset_sections, unknown_stages

_TABLES = ("prompts/", "pictures/", "shards/")
_SPARE_BYTES = 32 * 1024

Report = Callable[[int, int], None]


def split(
    path: Path, directory: Path, limit_bytes: int, report: Report = lambda done, total: None
) -> list[Path]:
    """Write `name-001.h5`, `name-002.h5`, … with at most `limit_bytes` each; return the files.

    Raises ShardError where the dataset is damaged, PanicError where one run is larger than the
    limit or one of the files is there already.
    """
    with Dataset(path) as dataset:
        if unknown := unknown_stages(dataset.file):
            raise PanicError(
                f"{path} has results of {', '.join(unknown)}, which nothing installed declares",
                hint="Install the package that made them; parts without them would lose them",
            )
        require_whole(dataset.file)
        # Once for all parts, which are then copied without being compared again.
        dataset.file.check_all()
        ranges = list(run_ranges(dataset, limit_bytes))
        targets = [directory / f"{path.stem}-{n:03d}.h5" for n in range(1, len(ranges) + 1)]
        for target in targets:
            admit(target, [path])
            admit(digest_path(target), [path])
        for number, (first, last) in enumerate(ranges):
            _write_part(dataset, first, last, targets[number])
            report(number + 1, len(ranges))
        return targets


def run_ranges(dataset: Dataset, limit_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (first run, one after the last) of parts that fit below the limit."""
    fixed = sum(
        entry.nbytes
        for name, entry in dataset.file.entries.items()
        if name.startswith(_TABLES) or name == "metadata"
    )
    every = sum(entry.nbytes for entry in dataset.file.entries.values())
    fixed += dataset.file.size - every + _SPARE_BYTES
    room = limit_bytes - fixed
    sizes = _bytes_per_run(dataset)
    if room <= 0 or sizes.max(initial=0) > room:
        raise PanicError(
            f"Parts of {limit_bytes} bytes are too small: the largest run has "
            f"{int(sizes.max(initial=0))}, what every part has {fixed}"
        )
    edges = np.concatenate([np.zeros(1), np.cumsum(sizes)])
    first = 0
    while first < dataset.n_runs:
        last = int(np.searchsorted(edges, edges[first] + room, side="right")) - 1
        yield first, last
        first = last


def _bytes_per_run(dataset: Dataset) -> NDArray[np.float64]:
    total = np.zeros(dataset.n_runs)
    for section in dataset_sections(dataset.file):
        for column in section.columns():
            if section.place(column.name):
                row_bytes = section.entry(column.name).row_bytes
                total += np.diff(section.edges[column.rows]) * row_bytes
    # An allowance for checksums and offsets, of which a part has some more than its share.
    return total * 1.001 + 64


def _write_part(dataset: Dataset, first: int, last: int, target: Path) -> None:
    sources = Sources([])
    for section in dataset_sections(dataset.file):
        sources.append(_source(dataset, section))
    rows = np.full(dataset.n_runs, MISSING, np.int64)
    rows[first:last] = np.arange(last - first)
    places = RunPlaces(last - first, (rows,))
    traces = {part: trace(sources, *part, places) for part in sources.parts}
    job = make_job(traces, sources, _unchanged(dataset))
    contents = partial(_contents, dataset, first, last)
    assemble(job, contents, target, MergeOptions(check=False), Alone())


def _source(dataset: Dataset, section: Section) -> Source:
    """Return a section of the dataset as if it were one shard."""
    file = dataset.file
    entries = {column.name: section.entry(column.name) for column in section.columns()}
    return Source(
        path=str(file.path),
        experiment=0,
        stage=section.kind.stage,
        index=0,
        model=section.model,
        key="",
        entries=entries,
        first_run=0,
        run_keys=file.array("runs/key"),
        digests=file.array(section.place(DIGEST.name)),
        # Not asked for: the parts' offsets are cut out of the dataset's own.
        counts={},
        told="",
    )


def _unchanged(dataset: Dataset) -> Unified:
    """Return tables under which networks, prompts and models keep their rows."""
    n_networks = len(dataset.metadata["networks"])
    models = np.arange(len(dataset.metadata["models"]), dtype=np.int16)
    return Unified(
        network_rows=[np.arange(n_networks, dtype=np.int32)],
        prompt_rows=[np.arange(dataset.file.rows("prompts/group"), dtype=np.int32)],
        model_rows=[[models] * n_networks],
    )


def _contents(dataset: Dataset, first: int, last: int) -> Contents:
    file = dataset.file
    # Every part has all prompts and shards, so that rows that point to them stay as they are.
    own: Arrays = {name: file.array(name) for name in file.entries if name.startswith(_TABLES)}
    digests = {}
    model_keys = {"": "", **{model["name"]: model["key"] for model in dataset.metadata["models"]}}
    for section in dataset_sections(file):
        label = section.kind.label(model_keys[section.model])
        digests[label] = section.slice(DIGEST.name, first, last)
        for column in section.kind.added_columns(section.model):
            rows = file.slice(column.name, first, last + column.edges)
            own[column.name] = _from_zero(rows) if column.edges else rows
        if section.kind.defines_runs:
            own |= _members(dataset, first, last)
    key = dataset_content_key(run_lines(file.slice("runs/key", first, last), digests))
    own["metadata"] = _metadata(dataset, first, last)
    values: Mapping[str, Any] = {
        "content_key": key,
        "inputs_key": f"{dataset.content_key} {first} {last}",
        "n_missing": file.header["n_missing"],
    }
    return Contents(own, values, dataset.results())


def _from_zero(offsets: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(offsets - offsets[0])


def _members(dataset: Dataset, first: int, last: int) -> Arrays:
    rows = dataset.file.array("members/run")
    chosen = (rows >= first) & (rows < last)
    return {
        "members/experiment": dataset.file.array("members/experiment")[chosen],
        "members/index": dataset.file.array("members/index")[chosen],
        "members/run": rows[chosen] - first,
    }


def _metadata(dataset: Dataset, first: int, last: int) -> NDArray[np.uint8]:
    part = {"content_key": dataset.content_key, "first_run": first, "n_runs": last - first}
    value = {**dataset.metadata, **made(), "part_of": part}
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
