"""What a merge reads: which shards there are of those that there should be, and what they hold."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from panic_hpc.disk.spool import Spool
from panic_hpc.errors import ManifestError, ShardError
from panic_hpc.merging.ranks import Ranks, first
from panic_hpc.merging.run_sources import Source, Sources
from panic_hpc.merging.unify import ExperimentInfo
from panic_hpc.store.format.packed_entries import pack
from panic_hpc.store.format.reader import OpenArrays
from panic_hpc.store.format.shard import ShardFile, open_shard
from panic_hpc.store.results.base import kind_of
from panic_hpc.types import Shard

LISTED = 20
# Between two rounds of reading all ranks wait for each other, and hold what they read meanwhile.
ROUND_SHARDS = 256


@dataclass(frozen=True, slots=True)
class Input:
    """One shard that a merge expects, and its file; `model` is its name in the dataset."""

    experiment: int
    shard: Shard
    path: Path
    manifest_key: str
    model: str


@dataclass(frozen=True, slots=True)
class MergeInputs:
    """All that a merge starts from: experiments, their shards that are there, and the others.

    Which shards are there counts on rank 0 only. `others` are files that are read beside shards,
    manifests or a database; `home` is where the only experiment keeps its dataset.
    """

    experiments: Sequence[ExperimentInfo]
    there: Sequence[Input]
    missing: Sequence[dict[str, Any]] = ()
    others: Sequence[Path] = ()
    home: Path | None = None


class InputPaths(Sequence[Path]):
    """The files that a merge reads, each named when it is asked for."""

    def __init__(self, inputs: MergeInputs) -> None:
        self.there, self.others = inputs.there, inputs.others

    def __len__(self) -> int:
        return len(self.there) + len(self.others)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index] - len(self.there)
        return self.there[number].path if number < 0 else self.others[number]


def split_missing(inputs: Iterable[Input], there: "Spool[Input] | list[Input]") -> list[Input]:
    """Append to `there` those whose file is there, and return the others."""
    missing = []
    for one in inputs:
        if one.path.exists():
            there.append(one)
        else:
            missing.append(one)
    return missing


def require_enough(there: Sequence[Input], missing: Sequence[Input], allow_missing: bool) -> None:
    """Raise ManifestError, with a list, where shards are missing and that was not allowed."""
    if missing and not allow_missing:
        names = "\n".join(f"  - {one.path}" for one in missing[:LISTED])
        more = f"\n  … and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        raise ManifestError(
            f"{len(missing)} of {len(missing) + len(there)} shards are missing:\n{names}{more}",
            hint="Wait, submit them again, or merge what is there with --allow-missing",
        )
    if not any(kind_of(one.shard.stage).defines_runs for one in there):
        raise ManifestError(
            "No shard of the runs stage is completed yet, there is nothing to merge"
        )


def as_missing(source: Input) -> dict[str, Any]:
    """Return what a dataset says of a shard it had to do without."""
    shard = source.shard
    return {
        "experiment": source.experiment,
        "stage": shard.stage,
        "index": shard.index,
        "model": source.model,
        "first_run": shard.first_run,
        "n_runs": shard.n_runs,
    }


def read_sources(there: Sequence[Input], kept: Spool[Source], ranks: Ranks) -> Sources:
    """Return all shards, each read by one rank, in their order; `there` counts on rank 0 only."""
    sources = Sources(kept)
    n_shards = first(ranks, lambda: len(there))
    for start in range(0, n_shards, ROUND_SHARDS):
        some = first(ranks, partial(_some, there, start))
        shared = ranks.each(partial(_read, some[ranks.rank :: ranks.size]))
        # Shards were dealt out to ranks in turn; this puts them back into their order.
        for number in range(len(some)):
            sources.append(shared[number % ranks.size][number // ranks.size])
    return sources


def _some(there: Sequence[Input], start: int) -> Sequence[Input]:
    return there[start : start + ROUND_SHARDS]


def _read(some: Sequence[Input]) -> list[Source]:
    return [read_source(one) for one in some]


def read_source(source: Input) -> Source:
    """Return what merge must know of a shard; its header and the arrays read here are verified.

    Raises ShardError where the file is damaged, or another shard than its name says.
    """
    # Not checked: its bytes are hashed once, while they are copied.
    with open_shard(source.path, manifest_key=source.manifest_key, check=False) as file:
        _require_expected(file, source)
        kind = kind_of(source.shard.stage)
        return Source(
            path=str(source.path),
            experiment=source.experiment,
            stage=source.shard.stage,
            index=source.shard.index,
            model=source.model,
            key=file.header_sha256,
            entries=pack(file.entries),
            first_run=source.shard.first_run,
            run_keys=file.array("runs/key"),
            digests=file.array("runs/digest"),
            counts={
                dimension: file.array(kind.rows_per_run[dimension].column)
                for dimension in kind.dataset_offsets
            },
            told=told(file.header),
        )


def told(header: Mapping[str, Any]) -> str:
    """Return what a dataset repeats of a shard's header, as JSON text."""
    names = ("numerics", "provenance")
    return json.dumps({name: header[name] for name in names}, sort_keys=True)


def _require_expected(file: ShardFile, source: Input) -> None:
    found = (file.header["stage"], file.header["index"], file.header["model"])
    wanted = (source.shard.stage, source.shard.index, source.shard.model)
    if found != wanted:
        raise ManifestError(f"{source.path} is shard {found}, not {wanted}: files changed places")
    first, count = source.shard.first_run, source.shard.n_runs
    if not np.array_equal(file.array("runs/index"), np.arange(first, first + count)):
        raise ManifestError(f"{source.path} does not hold the {count} runs from {first} on")


@contextmanager
def opened(source: Source) -> Iterator[OpenArrays]:
    """Open the arrays of a source; ShardError where its file is gone."""
    try:
        descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ShardError(f"{source.path} disappeared while it was merged") from error
    try:
        yield OpenArrays(Path(source.path), descriptor, source.entries)
    finally:
        os.close(descriptor)
