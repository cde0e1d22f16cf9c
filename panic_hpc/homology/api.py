"""Persistence diagrams of one point cloud: the question, who answers it, the record of how."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from panic_hpc import clock
from panic_hpc.errors import HomologyError
from panic_hpc.homology import options
from panic_hpc.homology.cloud import Cloud, prepare
from panic_hpc.homology.engine import Outcome, Request, Stop
from panic_hpc.homology.metrics import from_euclidean, to_euclidean

Metric = Literal["euclidean", "cosine", "angular", "precomputed"]
Engine = Literal["lazy", "giotto-ph", "gudhi"]

METRICS = ("euclidean", "cosine", "angular", "precomputed")
ENGINES = ("lazy", "giotto-ph", "gudhi")


@dataclass(frozen=True, slots=True)
class Record:
    """How diagrams came to be.

    Everything but `seconds` and `peak_bytes` is reproducible, so that these two are left out of
    comparisons.
    """

    engine: str
    metric: str
    maxdim: int
    thresh: float
    points: int
    distinct_points: int
    complete_dimensions: tuple[int, ...]
    stopped_reason: Stop = ""
    columns_reduced: tuple[int, ...] = ()
    """Columns that needed a reduction, one entry a dimension (lazy engine only)."""
    operations: int = 0
    """Cofacet searches, the unit of `budget` (lazy engine only)."""
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    peak_bytes: int = field(default=0, compare=False)
    """Largest memory held: counted by the lazy engine, else the growth of the process's peak."""

    @property
    def is_complete(self) -> bool:
        """Whether every dimension up to `maxdim` was finished."""
        return len(self.complete_dimensions) == self.maxdim + 1

    @property
    def noise_ratio(self) -> float:
        """Columns of H1 per distinct point: below 1 on trajectories, above 3 on clouds of noise."""
        return (
            self.columns_reduced[1] / self.distinct_points if len(self.columns_reduced) > 1 else 0.0
        )


@dataclass(frozen=True, slots=True, eq=False)
class Diagrams:
    """Persistence diagrams over Z/2 and the record of their making.

    `dgms[k]` is the diagram of dimension k: float32 (n, 2), birth and death in units of the metric,
    rows by birth, then death; a class that never dies has death inf. Bars of length zero are left
    out. Only complete dimensions are here: a computation that was stopped has fewer than
    `maxdim + 1` arrays, so that "not computed" is never read as "no features". Two are equal where
    all bars and the reproducible part of their records are.
    """

    dgms: tuple[npt.NDArray[np.float32], ...]
    record: Record

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Diagrams):
            return NotImplemented
        same_bars = len(self.dgms) == len(other.dgms) and all(
            np.array_equal(a, b) for a, b in zip(self.dgms, other.dgms, strict=True)
        )
        return same_bars and self.record == other.record


def diagrams(
    points: npt.ArrayLike,
    maxdim: int = 2,
    metric: Metric = "euclidean",
    engine: Engine = "lazy",
    thresh: float = math.inf,
    threads: int = 1,
    time_limit_s: float | None = None,
    memory_limit_gb: float | None = None,
    budget: int | None = None,
) -> Diagrams:
    """Compute the exact Vietoris-Rips persistence diagrams of `points` up to dimension `maxdim`.

    Args:
        points: (n, d) real numbers, taken as float32; for `precomputed` the (n, n) distance matrix:
            symmetric, finite, not negative, zero on the diagonal. n = 0 has empty diagrams.
        maxdim: largest homology dimension; the lazy engine knows 0, 1 and 2.
        metric: `cosine` is 1 - cos(x, y), `angular` the angle in radians; both are monotone maps of
            the Euclidean distance of the rows scaled to unit length.
        engine: `lazy` is this package's native core; `giotto-ph` and `gudhi` are optional packages.
        thresh: simplices with a longer edge are left out; in units of the metric.
        threads: up to 1024; the output and the counts do not depend on it.
        time_limit_s: seconds this call may take; a safety stop, named "deadline" in the record
            (other engines: looked at before they start and no more).
        memory_limit_gb: 1e9 bytes that the engine may hold, estimated before they are allocated;
            None: what the machine, its control group and Slurm let this process have.
        budget: cofacet searches allowed (lazy engine only), counted the same on every machine.

    Raises:
        HomologyError: the points or options cannot be worked on, or the engine is missing.

    Equal rows are counted once, which changes no bar of positive length. A stop on budget, time or
    memory is no error: `record.stopped_reason` names it.

    Example:
        >>> square = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> diagrams(square, maxdim=1).dgms[1].tolist()
        [[1.0, 1.4142135381698608]]
    """
    start = clock.monotonic()
    _require_known(metric, engine)
    request = Request(
        options.whole("maxdim", maxdim, 0),
        to_euclidean(options.real("thresh", thresh, "Use a length from 0 to inf."), metric),
        options.whole("threads", threads, 1, options.MOST_THREADS),
        options.seconds(time_limit_s),
        options.memory_limit(memory_limit_gb),
        None if budget is None else options.whole("budget", budget, 1),
    )
    _require_countable(request, engine)
    cloud = prepare(points, metric)
    # Counts towards the limit, which is of the whole call.
    prepared = clock.monotonic() - start
    outcome = _solve(cloud, request, engine, prepared)
    dgms = tuple(canonical(from_euclidean(dgm, metric)) for dgm in outcome.dgms)
    seconds = {"prepare": prepared, **outcome.seconds, "total": clock.monotonic() - start}
    record = Record(
        engine=engine,
        metric=metric,
        maxdim=request.maxdim,
        thresh=float(thresh),
        points=cloud.n_points,
        distinct_points=cloud.n_distinct,
        complete_dimensions=tuple(range(len(dgms))),
        stopped_reason=outcome.stopped_reason,
        columns_reduced=outcome.columns_reduced,
        operations=outcome.operations,
        seconds=seconds,
        peak_bytes=outcome.peak_bytes,
    )
    return Diagrams(dgms, record)


def canonical(dgm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sort bars by birth, then death, and drop those of length zero; float32 (n, 2)."""
    dgm = np.asarray(dgm, dtype=np.float32).reshape(-1, 2)
    # After the map to the metric, where two lengths can round to the same float32. The order is
    # ours, since giotto-ph sorts H0 by death and the rest by persistence.
    dgm = dgm[dgm[:, 1] > dgm[:, 0]]
    return np.ascontiguousarray(dgm[np.lexsort((dgm[:, 1], dgm[:, 0]))])


def _require_known(metric: str, engine: str) -> None:
    if metric not in METRICS:
        raise HomologyError(
            f"metric {metric!r} is unknown", hint=f"Use one of {', '.join(METRICS)}."
        )
    if engine not in ENGINES:
        raise HomologyError(
            f"engine {engine!r} is unknown", hint=f"Use one of {', '.join(ENGINES)}."
        )


def _require_countable(request: Request, engine: str) -> None:
    if request.budget is not None and engine != "lazy":
        raise HomologyError(
            f"engine {engine} counts no operations, so it cannot keep to a budget",
            hint='Leave out the budget or use engine="lazy".',
        )


def _solve(cloud: Cloud, request: Request, engine: str, spent: float) -> Outcome:
    """Hand the distinct points to the engine, unless nothing is left to compute or no time is."""
    if cloud.n_distinct == 0:
        empty = [np.empty((0, 2), np.float32)] * (request.maxdim + 1)
        return Outcome(empty, {}, columns_reduced=(0,) * (request.maxdim + 1))
    if request.time_limit_s is not None and spent >= request.time_limit_s:
        cloud.require_finite()
        return Outcome([], {}, stopped_reason="deadline")
    outcome: Outcome = _engine(engine)(cloud, request, spent)
    return outcome


def _engine(name: str) -> Callable[[Cloud, Request, float], Outcome]:
    """The function of an engine; imported here, because each needs a package of its own."""
    if name == "lazy":
        from panic_hpc.homology import lazy

        return lazy.solve
    from panic_hpc.homology import giotto_gudhi

    return giotto_gudhi.ENGINES[name]
