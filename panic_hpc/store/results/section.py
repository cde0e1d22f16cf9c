"""One kind of result in an open file: a whole shard, or what a dataset has of it and a model."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.format.column import Column
from panic_hpc.store.format.header import DATASET, ArrayEntry
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.base import DIGEST, ResultKind, all_kinds, kind_of, runs_kind
from panic_hpc.store.results.rows import Edges, run_edges


class Section:
    """Arrays of one kind in `file`, by their names in a shard wherever they lie."""

    def __init__(
        self, file: ArrayFile, kind: ResultKind, model: str = "", *, in_dataset: bool = False
    ) -> None:
        """Name the section; nothing is read."""
        self.file = file
        self.kind = kind
        self.model = model
        self.in_dataset = in_dataset

    def place(self, name: str) -> str:
        """Return the name in the file of a shard's array, "" where the file has none of it."""
        return self.kind.dataset_name(self.model, name) if self.in_dataset else name

    def __contains__(self, name: str) -> bool:
        return self.place(name) in self.file

    def columns(self) -> Iterator[Column]:
        """Yield the columns that the file has."""
        return (column for name, column in self.kind.by_name.items() if name in self)

    def entry(self, name: str) -> ArrayEntry:
        """Return where and what an array is; ShardError where there is none."""
        return self.file.entry(self.place(name))

    def rows(self, name: str) -> int:
        """Return the length of an array's first axis."""
        return self.file.rows(self.place(name))

    def slice(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows of an array, not verified."""
        return self.file.slice(self.place(name), start, stop)

    def whole(self, name: str) -> NDArray[Any]:
        """Return all rows of an array, not verified."""
        return self.file.whole(self.place(name))

    @property
    def n_runs(self) -> int:
        """Number of runs that it is about."""
        return self.rows(DIGEST.name)

    @cached_property
    def edges(self) -> Edges:
        """By dimension the rows where runs begin and end: (n_runs + 1,) int64."""
        return run_edges(self)

    def undigested(self) -> list[int]:
        """Return the runs that have no digest: time or memory stopped them."""
        found = np.zeros(self.n_runs, bool)
        for name, code in self.kind.undigested.items():
            found |= self.whole(name) == code
        rows: list[int] = np.flatnonzero(found).tolist()
        return rows

    def __str__(self) -> str:
        return f"{self.kind.stage}/{self.model}" if self.model else self.kind.stage


def shard_section(file: ArrayFile) -> Section:
    """Return the section that a shard is; PanicError where its stage is unknown here."""
    return Section(file, kind_of(str(file.header.get("stage"))))


def dataset_sections(file: ArrayFile) -> Iterator[Section]:
    """Yield what a dataset has of the kinds known here, the runs first, else in order of names."""
    yield Section(file, runs_kind(), in_dataset=True)
    for stage, model in _digested(file):
        kind = all_kinds().get(stage)
        if kind and not kind.defines_runs and kind.per_model == bool(model):
            yield Section(file, kind, model, in_dataset=True)


def sections(file: ArrayFile) -> list[Section]:
    """Return all sections of a shard or dataset."""
    return list(dataset_sections(file)) if file.kind == DATASET else [shard_section(file)]


def unknown_stages(file: ArrayFile) -> list[str]:
    """Return the stages of which a dataset has results that nothing installed here declares."""
    return sorted({stage for stage, _ in _digested(file) if stage not in all_kinds()})


def digest_names(file: ArrayFile) -> Iterator[tuple[str, str, str]]:
    """Yield (name, stage, model) of a dataset's arrays of digests, of unknown stages too."""
    for stage, model in _digested(file):
        yield f"{stage}/{model}/digest" if model else f"{stage}/digest", stage, model


def _digested(file: ArrayFile) -> Iterator[tuple[str, str]]:
    for name in file.entries:
        stage, *model, column = name.split("/") if "/" in name else ("", "")
        if column == "digest" and len(model) < 2:
            yield stage, "".join(model)


def n_undigested(file: ArrayFile) -> int:
    """Return how many runs' parts in a shard or dataset time or memory stopped."""
    return sum(len(section.undigested()) for section in sections(file))
