"""Which run of the dataset comes from which row of which shard: pure functions of their keys."""

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.spool import Spool
from panic_hpc.errors import ConflictError
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.store.results.base import ResultKind, kind_of, runs_kind

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

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays as bytes: NumPy's own way takes ten times as long for arrays as small as these.
        values = {name: getattr(self, name) for name in self.__slots__}
        arrays = {name: _packed(values.pop(name)) for name in ("run_keys", "digests")}
        counts = {name: _packed(one) for name, one in values.pop("counts").items()}
        return _unpickled, (values, arrays, counts)

    @property
    def numerics(self) -> Any:
        """Numerics class that its work was done in, a JSON value."""
        return json.loads(self.told)["numerics"]

    @property
    def n_runs(self) -> int:
        """Number of runs in the shard."""
        return len(self.run_keys)

    @property
    def kind(self) -> ResultKind:
        """What its stage's files hold."""
        return kind_of(self.stage)


_Packed = tuple[str, bytes]


def _packed(values: NDArray[Any]) -> _Packed:
    return values.dtype.str, values.tobytes()


def _unpickled(
    values: Mapping[str, Any], arrays: Mapping[str, _Packed], counts: Mapping[str, _Packed]
) -> Source:
    unpacked: dict[str, Any] = _unpacked(arrays)
    return Source(**values, **unpacked, counts=_unpacked(counts))


def _unpacked(arrays: Mapping[str, _Packed]) -> dict[str, NDArray[Any]]:
    return {name: np.frombuffer(content, dtype) for name, (dtype, content) in arrays.items()}


_FIELDS = ("part", "experiment", "index", "first_run", "n_runs", "told_bytes")


class Sources(Sequence[Source]):
    """All sources of a merge, and in memory of each a few numbers, which decide what goes where.

    `kept` has them, a list or a Spool. `parts` are their stages and models, in the order in which
    they came.
    """

    def __init__(self, kept: Spool[Source] | list[Source]) -> None:
        self.kept = kept
        self.parts: dict[tuple[str, str], int] = {}
        self._numbers = array("q")

    def append(self, source: Source) -> None:
        """Take a source, whose number is that of sources before it."""
        self.kept.append(source)
        part = self.parts.setdefault((source.stage, source.model), len(self.parts))
        told_bytes = len(source.told.encode())
        row = (part, source.experiment, source.index, source.first_run, source.n_runs, told_bytes)
        self._numbers.extend(row)

    def column(self, name: str) -> Rows:
        """Return (n_sources,) their `experiment`, `index`, `first_run` or `n_runs`.

        Or their `part`, a number of `parts`, or `told_bytes`, the length of what is told.
        """
        rows = np.frombuffer(self._numbers, np.int64).reshape(-1, len(_FIELDS))
        return rows[:, _FIELDS.index(name)]

    def of_part(self, stage: str, model: str) -> Rows:
        """Return the numbers of a stage's and model's sources, ascending."""
        return np.flatnonzero(self.column("part") == self.parts.get((stage, model), MISSING))

    def __len__(self) -> int:
        return len(self.kept)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> list[Source]: ...
    def __getitem__(self, index: int | slice) -> Source | list[Source]:
        return self.kept[index]


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


def place_runs(sources: Sources, n_planned: Sequence[int]) -> RunPlaces:
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


def _runs_in_order(sources: Sources) -> tuple[NDArray[Any], Rows, Rows]:
    runs = sources.of_part(runs_kind().stage, "")
    n_runs = sources.column("n_runs")[runs]
    starts = offsets_of(n_runs)
    keys = np.empty(starts[-1], "S32")
    for place, number in enumerate(runs.tolist()):
        keys[starts[place] : starts[place + 1]] = sources[number].run_keys
    experiments = np.repeat(sources.column("experiment")[runs], n_runs)
    places = np.repeat(sources.column("first_run")[runs] - starts[:-1], n_runs)
    indices = places + np.arange(len(keys))
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


def trace(sources: Sources, stage: str, model: str, places: RunPlaces) -> RunSources:
    """Return where one stage's part of each run is; the first source that has a run gives it.

    A part without a digest (a diagram that is incomplete) counts only where nobody has a better
    one. Raises ConflictError where two sources have a run's part with different digests.
    """
    found = RunSources(
        np.full(places.n_runs, MISSING, np.int64), np.full(places.n_runs, MISSING, np.int64)
    )
    experiments, firsts, counts = map(sources.column, ("experiment", "first_run", "n_runs"))
    for number in sources.of_part(stage, model).tolist():
        first = int(firsts[number])
        rows = places.rows[experiments[number]][first : first + int(counts[number])]
        free = rows != MISSING
        taken = np.flatnonzero(free & (found.source[rows] != MISSING))
        # A source is looked at only where another has some of its runs.
        if len(taken):
            better = taken[_is_better(sources, found, number, rows, taken)]
            taken = np.setdiff1d(taken, better)
            _require_equal(sources, found, number, rows, taken)
            free[taken] = False
        (chosen,) = np.nonzero(free)
        found.source[rows[chosen]] = number
        found.row[rows[chosen]] = chosen
    return found


def _is_better(
    sources: Sources, found: RunSources, number: int, rows: Rows, taken: Rows
) -> NDArray[np.bool_]:
    """Return where a source has a digest for a run that its earlier source has none for."""
    earlier = [
        sources[source].digests[row]
        for source, row in zip(
            found.source[rows[taken]].tolist(), found.row[rows[taken]].tolist(), strict=True
        )
    ]
    later = sources[number].digests[taken]
    found_better: NDArray[np.bool_] = (np.array(earlier, later.dtype) == b"") & (later != b"")
    return found_better


def _require_equal(
    sources: Sources, found: RunSources, number: int, rows: Rows, taken: Rows
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
