"""One persistence diagram as the experiment asks for it, or the reason why there is none."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc import clock
from panic_hpc.homology.cost import NOISE_RATIO, default_budget
from panic_hpc.homology.null_models import NULL_MODELS, null_clouds
from panic_hpc.stages.calls import reason_of
from panic_hpc.stages.diagrams.clouds import RunCloud

if TYPE_CHECKING:
    from panic_hpc.experiment.config import Homology

SAFETY = ("deadline", "memory")
"""Stops that depend on the machine."""


@dataclass(frozen=True, slots=True)
class DiagramSettings:
    """The experiment's [homology] as plain values, which travel to other processes."""

    maxdim: int
    metric: Any
    engine: Any
    thresh: float
    budget: int | None
    surrogates: int

    @classmethod
    def of(cls, homology: "Homology") -> "DiagramSettings":
        """Return the settings of an experiment."""
        thresh = math.inf if homology.thresh is None else homology.thresh
        engine, budget = homology.engine, homology.budget
        return cls(homology.maxdim, homology.metric, engine, thresh, budget, homology.surrogates)

    def budget_of(self, n_points: int) -> int | None:
        """Return the operations that a cloud may take: as the experiment says, else by its size.

        It is the same on every machine, so what it stops is part of the content.
        """
        if self.budget is not None or self.engine != "lazy":
            return self.budget
        return default_budget(n_points)


@dataclass(frozen=True, slots=True)
class SafetyStops:
    """What one diagram may take: until when (seconds since the epoch), bytes; None: no end.

    Unlike the budget these depend on the machine, so whatever they stop is `incomplete`.
    """

    deadline: float | None = None
    memory_bytes: int | None = None


NO_STOPS = SafetyStops()


@dataclass(frozen=True, slots=True)
class Diagram:
    """What became of one run: `dgms` has (n, 2) float32 bars for each dimension that is complete.

    `status` is a name of DIAGRAM_STATUS; `distinct_points` is -1 where nobody counted.
    `stopped_by` is "deadline" or "memory" where `status` is incomplete for it, else "". `elapsed`
    are the seconds with null models, `seconds` those without.
    """

    status: str
    points: int
    reason: str = ""
    distinct_points: int = -1
    seconds: float = 0.0
    peak_bytes: int = 0
    dgms: tuple[NDArray[np.float32], ...] = ()
    entropies: tuple[float, ...] = ()
    surrogates: NDArray[np.float64] | None = None
    stopped_by: str = ""
    elapsed: float = 0.0


class _StoppedError(Exception):
    """A null model was stopped by the deadline or for memory; the argument says which."""


def probe(settings: DiagramSettings) -> None:
    """Raise HomologyError where the engine is not there or refuses the settings."""
    # A real cloud of three points: it finds a missing package or wrong option before hours of
    # work.
    _diagrams(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32), settings, NO_STOPS)


def compute(settings: DiagramSettings, stops: SafetyStops, cloud: RunCloud) -> Diagram:
    """Return the diagram of a cloud; whatever goes wrong with this one is a reason, no error."""
    start = clock.monotonic()
    found = _attempted(settings, stops, cloud)
    return replace(found, elapsed=clock.monotonic() - start)


def _attempted(settings: DiagramSettings, stops: SafetyStops, cloud: RunCloud) -> Diagram:
    n_points = len(cloud.points)
    if n_points == 0:
        return Diagram("skipped", 0, "the run has no output that the model reads", 0)
    if cloud.n_failed:
        return Diagram("skipped", n_points, f"{cloud.n_failed} of {n_points} embeddings failed")
    try:
        found = _computed(cloud, settings, stops)
    # What the estimate of memory let through; it depends on the machine, so the status says
    # incomplete.
    except MemoryError as error:
        return Diagram("incomplete", n_points, reason_of(error), stopped_by="memory")
    except Exception as error:
        return Diagram("failed", n_points, reason_of(error))
    wants_more = settings.surrogates and not found.stopped_by
    return _with_surrogates(found, cloud, settings, stops) if wants_more else found


def died(cloud: RunCloud) -> Diagram:
    """Return what is recorded where the process that computed a cloud ended without an answer."""
    reason = "its process died, perhaps of too little memory"
    return Diagram("incomplete", len(cloud.points), reason)


def _computed(cloud: RunCloud, settings: DiagramSettings, stops: SafetyStops) -> Diagram:
    from panic_hpc.homology.entropy import persistence_entropies

    answer = _diagrams(cloud.points, settings, stops)
    record = answer.record
    stopped_by = record.stopped_reason if record.stopped_reason in SAFETY else ""
    return Diagram(
        "incomplete" if stopped_by else "computed" if record.is_complete else "stopped",
        len(cloud.points),
        _remark(record, settings),
        record.distinct_points,
        record.seconds["total"],
        record.peak_bytes,
        answer.dgms,
        persistence_entropies(answer.dgms),
        stopped_by=stopped_by,
    )


def _with_surrogates(
    diagram: Diagram, cloud: RunCloud, settings: DiagramSettings, stops: SafetyStops
) -> Diagram:
    """Return `found` with its null models; their failure is told and spoils nothing else."""
    try:
        return replace(diagram, surrogates=_surrogates(cloud, settings, stops))
    except _StoppedError as error:
        reason = f"null models stopped by {error}"
        return replace(diagram, status="incomplete", reason=reason, stopped_by=str(error))
    except Exception as error:
        return replace(diagram, reason=f"{diagram.reason}\nnull models: {reason_of(error)}".strip())


def _surrogates(
    cloud: RunCloud, settings: DiagramSettings, stops: SafetyStops
) -> NDArray[np.float64]:
    """Return (null models, surrogates, maxdim + 1, 3) statistics; NaN where not computed."""
    shape = (len(NULL_MODELS), settings.surrogates, settings.maxdim + 1, 3)
    found = np.full((shape[0] * shape[1], *shape[2:]), np.nan)
    for place, points in enumerate(null_clouds(cloud.points, cloud.key, settings.surrogates)):
        answer = _diagrams(points, settings, stops)
        # A budget's stop is the same everywhere, so NaN stands for it; a safety stop must not
        # enter the content.
        if answer.record.stopped_reason in SAFETY:
            raise _StoppedError(answer.record.stopped_reason)
        for dimension, dgm in enumerate(answer.dgms):
            found[place, dimension] = _statistics(dgm)
    return found.reshape(shape)


def _statistics(dgm: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return entropy, total and longest persistence of the bars that die."""
    from panic_hpc.homology.entropy import persistence_entropy

    lengths = (dgm[:, 1].astype(np.float64) - dgm[:, 0])[np.isfinite(dgm[:, 1])]
    # In float64: sums of thousands of float32 lengths would lose digits.
    return persistence_entropy(dgm), float(lengths.sum()), float(lengths.max(initial=0.0))


def _remark(record: Any, settings: DiagramSettings) -> str:
    """Return what is not whole about a diagram, though the experiment asked for that."""
    if not record.is_complete:
        done, ratio = len(record.complete_dimensions), record.noise_ratio
        noise = f", a cloud like noise ({ratio:.1f} loops a point)" if ratio > NOISE_RATIO else ""
        return f"stopped by {record.stopped_reason} before dimension {done}{noise}"
    return f"edges longer than {settings.thresh} left out" if settings.thresh < math.inf else ""


def _diagrams(points: NDArray[np.float32], settings: DiagramSettings, stops: SafetyStops) -> Any:
    from panic_hpc.homology.api import diagrams

    return diagrams(
        points,
        maxdim=settings.maxdim,
        metric=settings.metric,
        engine=settings.engine,
        thresh=settings.thresh,
        # Seconds since the epoch cross processes; a monotonic clock's zero need not be the same.
        time_limit_s=None if stops.deadline is None else max(0.0, stops.deadline - clock.now()),
        memory_limit_gb=None if stops.memory_bytes is None else stops.memory_bytes / 1e9,
        budget=settings.budget_of(len(points)),
    )
