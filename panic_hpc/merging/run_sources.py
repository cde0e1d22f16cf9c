"""Which run of the dataset comes from which row of which shard: pure functions of their keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ConflictError
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.results.base import ResultKind, kind_of

MISSING = -1
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Source:
    """What merge must know of one shard.

    Attributes:
        path: Its file.
        experiment: Number of its experiment among those that are merged.
        stage: The stage that made it, and so its kind of results.
        index: Its number within the stage.
        model: The embedding model's name in the dataset, "" where it is no model's.
        key: SHA-256 of its header.
        entries: Where each of its arrays lies.
        first_run: Place of the first of its runs, which are consecutive, in the experiment.
        run_keys: (n_runs,) S32.
        digests: (n_runs,) S64, empty where time or memory stopped the run.
        counts: By dimension the rows that each run has, of those for which the dataset gets
            offsets.
        told: JSON text of its numerics class and of its provenance: where, when and by what it was
            made.
    """

    path: str
    experiment: int
    stage: str
    index: int
    model: str
    key: str
    entries: Mapping[str, ArrayEntry]
    first_run: int
    run_keys: NDArray[Any]
    digests: NDArray[Any]
    counts: Mapping[str, NDArray[Any]]
    told: str

    @property
    def numerics(self) -> Any:
        """Numerics class that its work was done in, a JSON value."""
        return json.loads(self.told)["numerics"]

    @property
    def run_index(self) -> Rows:
        """(n_runs,) places of its runs in the experiment."""
        return np.arange(self.first_run, self.first_run + self.n_runs)

    @property
    def n_runs(self) -> int:
        """Number of runs in the shard."""
        return len(self.run_keys)

    @property
    def kind(self) -> ResultKind:
        """What its stage's files hold."""
        return kind_of(self.stage)


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive runs of the dataset from consecutive rows of one source (MISSING: from none)."""

    source: int
    first_row: int
    n_runs: int
    first_run: int


@dataclass(frozen=True, slots=True)
class RunPlaces:
    """`rows[e][i]`: dataset row of run i of experiment e, MISSING where it is not there."""

    n_runs: int
    rows: tuple[Rows, ...]


def place_runs(sources: Sequence[Source], n_planned: Sequence[int]) -> RunPlaces:
    """Give every run a row: by experiment, then index; a key that was seen keeps its first row."""
    rows = [np.full(count, MISSING, dtype=np.int64) for count in n_planned]
    keys, experiments, indices = _runs_in_order(sources)
    first_row = _first_occurrence(keys)
    is_first = first_row == np.arange(len(keys))
    new_rows = np.cumsum(is_first) - 1
    for experiment, table in enumerate(rows):
        own = experiments == experiment
        table[indices[own]] = new_rows[first_row[own]]
    return RunPlaces(int(is_first.sum()), tuple(rows))


def _runs_in_order(sources: Sequence[Source]) -> tuple[NDArray[Any], Rows, Rows]:
    runs = [source for source in sources if source.kind.defines_runs]
    if not runs:
        return np.empty(0, "S32"), np.empty(0, np.int64), np.empty(0, np.int64)
    keys = np.concatenate([source.run_keys for source in runs])
    indices = np.concatenate([source.run_index for source in runs])
    experiments = np.repeat([s.experiment for s in runs], [s.n_runs for s in runs])
    order = np.lexsort((indices, experiments))
    return keys[order], experiments[order], indices[order]


def _first_occurrence(keys: NDArray[Any]) -> Rows:
    # unique gives the first of equal keys, which is that of the earlier experiment.
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    found: Rows = first[inverse].astype(np.int64)
    return found


@dataclass(frozen=True, slots=True)
class RunSources:
    """For one stage and model: the source and its row that each run of the dataset comes from."""

    source: Rows
    row: Rows

    def parts(self) -> "Parts":
        """Return the runs grouped into stretches that lie together in one source."""
        n_runs = len(self.source)
        breaks = (np.diff(self.source) != 0) | (
            (np.diff(self.row) != 1) & (self.source[1:] != MISSING)
        )
        starts = np.concatenate([[0], np.flatnonzero(breaks) + 1]) if n_runs else np.zeros(0, int)
        counts = np.diff(starts, append=n_runs)
        return Parts(np.stack([self.source[starts], self.row[starts], counts, starts], axis=1))


class Parts(Sequence[Part]):
    """Parts of a table, each made when it is asked for: 32 bytes each, and there are millions."""

    def __init__(self, rows: Rows) -> None:
        """Take (n_parts, 4) the fields of each."""
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> "Parts": ...
    def __getitem__(self, index: int | slice) -> "Part | Parts":
        if isinstance(index, slice):
            return Parts(self.rows[index])
        return Part(*self.rows[index].tolist())


def trace(sources: Sequence[Source], stage: str, model: str, places: RunPlaces) -> RunSources:
    """Return where one stage's part of each run is; the first source that has a run gives it.

    A part without a digest (a diagram that is incomplete) counts only where nobody has a better
    one. Raises ConflictError where two sources have a run's part with different digests.
    """
    found = RunSources(
        np.full(places.n_runs, MISSING, np.int64), np.full(places.n_runs, MISSING, np.int64)
    )
    for number, source in enumerate(sources):
        if (source.stage, source.model) != (stage, model):
            continue
        rows = places.rows[source.experiment][source.run_index]
        taken = np.flatnonzero((rows != MISSING) & (found.source[rows] != MISSING))
        better = taken[_is_better(sources, found, number, rows, taken)]
        taken = np.setdiff1d(taken, better)
        _require_equal(sources, found, number, rows, taken)
        free = np.setdiff1d(np.flatnonzero(rows != MISSING), taken)
        found.source[rows[free]] = number
        found.row[rows[free]] = free
    return found


def _is_better(
    sources: Sequence[Source], found: RunSources, number: int, rows: Rows, taken: Rows
) -> NDArray[np.bool_]:
    """Return where a source has a digest for a run that its earlier source has none for."""
    earlier = [
        sources[source].digests[row]
        for source, row in zip(found.source[rows[taken]], found.row[rows[taken]], strict=True)
    ]
    later = sources[number].digests[taken]
    found_better: NDArray[np.bool_] = (np.array(earlier, later.dtype) == b"") & (later != b"")
    return found_better


def _require_equal(
    sources: Sequence[Source], found: RunSources, number: int, rows: Rows, taken: Rows
) -> None:
    later = sources[number]
    for row in taken.tolist():
        earlier = sources[int(found.source[rows[row]])]
        # A later part without a digest contradicts nobody: it was stopped on its machine.
        if later.digests[row] not in (b"", earlier.digests[int(found.row[rows[row]])]):
            key = later.run_keys[row].decode("ascii", "replace")
            raise ConflictError(
                f"Run {key} differs between {earlier.path} (made on {earlier.numerics}) and "
                f"{later.path} (made on {later.numerics})",
                hint="Leave one of the experiments out, or compute it again on one kind of machine",
            )


def stage_models(sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    """Yield each (stage, model) once, in order of appearance."""
    yield from dict.fromkeys((source.stage, source.model) for source in sources)
