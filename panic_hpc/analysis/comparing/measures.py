"""Measures: one number a run, known by a name such as `clip.score:mean`.

    METRIC[.COMPONENT][:mean|last|first|max|min|slope|at=STEP]   what a metric found, over steps
    steps, loop                                                  invocations; steps in the loop
    distinct                                                     share of outputs unlike all before
    drift.MODEL                                                  of the last tenth from the first
    entropy.MODEL.K, persistence.MODEL.K                         of the diagram in dimension K
    twin.MODEL[:mean|last|…]                                     distance from the baseline's run

and for a set of runs as a whole, from stored vectors, `kid.MODEL` and `fid.MODEL`. Distances are
cosine distances; a twin is the baseline's run of the same prompt and seed, at the same step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.shape.bars import summarise_bars
from panic_hpc.analysis.estimators.vector_sets import fid, kid
from panic_hpc.analysis.reading import trajectories
from panic_hpc.analysis.run_numbers import run_numbers
from panic_hpc.analysis.trajectory_set import unit_rows
from panic_hpc.errors import AnalysisError, nearest
from panic_hpc.types import DIAGRAMS, EMBEDDINGS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

RunOf = tuple["Dataset", int]
"""A row of runs, and whose."""
Values = NDArray[np.float64]
LISTED = 12


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of each run of a dataset: nan where it has none; items that failed are counted."""

    values: Values
    n_failed: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OutputSeries:
    """A measure of single outputs: of each run the steps that have a value, and the values."""

    runs: Sequence[tuple[Values, Values]]
    n_failed: NDArray[np.int64]

    def over(self, word: str) -> Measured:
        """Return one number a run, nan of no step; AnalysisError for another `word`."""
        reduce = _reduction(word)
        found = [reduce(steps, values) if len(values) else np.nan for steps, values in self.runs]
        return Measured(np.array(found, float), self.n_failed)


MoreMeasures = Callable[["Dataset", str], Measured | None]
"""Gives measures of runs that are kept elsewhere, None for another name."""

TwinDistances = Callable[[Sequence[RunOf], Sequence[RunOf], str], Values]
"""Gives distances as `twin_distances` does."""


def no_more(dataset: "Dataset", name: str) -> None:
    """Give none."""


def _slope(steps: Values, values: Values) -> float:
    """Return the change a step, by least squares; nan of fewer than two."""
    return float(np.polyfit(steps, values, 1)[0]) if len(values) > 1 else float("nan")


_OVER_STEPS: dict[str, Callable[[Values, Values], float]] = {
    "mean": lambda steps, values: float(values.mean()),
    "last": lambda steps, values: float(values[-1]),
    "first": lambda steps, values: float(values[0]),
    "max": lambda steps, values: float(values.max()),
    "min": lambda steps, values: float(values.min()),
    "slope": _slope,
}

SETS: dict[str, Callable[..., float]] = {"kid": kid, "fid": fid}
"""Distances of two sets of vectors, by the first part of a measure's name."""


def set_measure(name: str) -> tuple[str, str] | None:
    """Return (kid or fid, embedding model) for a measure of sets, None for one of runs."""
    kind, _, model = name.partition(".")
    return (kind, model) if kind in SETS and model else None


def twin_measure(name: str) -> tuple[str, str] | None:
    """Return (embedding model, what is done over steps) for a distance from twins, else None."""
    base, _, over = name.partition(":")
    kind, _, model = base.partition(".")
    return (model, over or "mean") if kind == "twin" and model else None


def known_measures(dataset: "Dataset") -> list[str]:
    """Return the names that a dataset has measures for, without what is done over steps."""
    return [
        *_of_metrics(dataset),
        "steps",
        "loop",
        "distinct",
        *(
            f"{kind}.{model}.{k}"
            for kind in _OF_DIAGRAMS
            for model in dataset.models_of(DIAGRAMS)
            for k in range(len(dataset.entropy(0, model)))
        ),
        *(
            f"{kind}.{model}"
            for kind in ("drift", "twin", *SETS)
            for model in dataset.models_of(EMBEDDINGS)
        ),
    ]


def _of_metrics(dataset: "Dataset") -> Iterator[str]:
    for metric, names in dataset.metrics.items():
        yield from [metric] if len(names) == 1 else [f"{metric}.{name}" for name in names]


def measure(dataset: "Dataset", name: str) -> Measured:
    """Return a measure of each run; AnalysisError, with those that there are, for another name."""
    base, _, over = name.partition(":")
    kind, _, rest = base.partition(".")
    if series := score_series(dataset, base):
        return series.over(over or "mean")
    if over:
        raise _unknown(dataset, name)
    if base in ("steps", "loop"):
        return _plain(_of_runs(dataset, base))
    if base == "distinct":
        return _plain(np.array([_distinct(dataset, run) for run in range(dataset.n_runs)]))
    if kind == "drift" and rest in dataset.models_of(EMBEDDINGS):
        return _plain(run_numbers(trajectories(dataset, rest))["drift"])
    model, _, dimension = rest.rpartition(".")
    if kind in _OF_DIAGRAMS and _has_dimension(dataset, model, dimension):
        return _plain(_of_diagrams(dataset, model, int(dimension), kind))
    raise _unknown(dataset, name)


def twin_distances(runs: Sequence[RunOf], twins: Sequence[RunOf], name: str) -> Values:
    """Return how far each run is from its twin, nan where no step has vectors of both.

    AnalysisError, with the measures that there are, where `name` is none of a twin.
    """
    return twin_series(runs, twins, name).over((twin_measure(name) or ("", "mean"))[1]).values


def twin_series(runs: Sequence[RunOf], twins: Sequence[RunOf], name: str) -> OutputSeries:
    """Return how far each run is from its twin at the steps at which both have vectors.

    AnalysisError, with the measures that there are, where `name` is none of a twin.
    """
    model, _ = twin_measure(name) or ("", "")
    for dataset in {id(one): one for one, _ in (*runs, *twins)}.values():
        if model not in dataset.models_of(EMBEDDINGS):
            raise _unknown(dataset, name)
    found = [_twin_gaps(own, twin, model) for own, twin in zip(runs, twins, strict=True)]
    return OutputSeries(found, np.zeros(len(found), np.int64))


def _twin_gaps(own: RunOf, twin: RunOf, model: str) -> tuple[Values, Values]:
    (steps, states), (other_steps, others) = (
        one.embeddings(run, model) for one, run in (own, twin)
    )
    shared, here, there = np.intersect1d(steps, other_steps, return_indices=True)
    cosines = np.einsum("td,td->t", unit_rows(states[here]), unit_rows(others[there]))
    gaps = 1.0 - cosines.astype(float)
    # The prompt's, at step -1, is the same for both.
    is_known = np.isfinite(gaps) & (shared >= 0)
    return shared[is_known].astype(float), gaps[is_known]


def vectors_of(
    dataset: "Dataset", model: str, runs: NDArray[np.int64]
) -> tuple[Values, NDArray[np.int64]]:
    """Return the finite vectors (n, d) of the outputs of runs, without prompts, and their runs."""
    if model not in dataset.models_of(EMBEDDINGS):
        raise _unknown(dataset, f"kid.{model}")
    found = [dataset.trajectory(run, model) for run in runs.tolist()]
    rows = np.concatenate(found).astype(np.float64) if found else np.empty((0, 1))
    is_finite = np.isfinite(rows).all(axis=1)
    return rows[is_finite], np.repeat(runs, [len(one) for one in found])[is_finite]


def _metric_of(dataset: "Dataset", base: str) -> str:
    """Return the metric that a name begins with, the longest, since names may have dots."""
    named = [m for m in dataset.metrics if base == m or base.startswith(m + ".")]
    return max(named, key=len, default="")


def score_series(dataset: "Dataset", base: str) -> OutputSeries | None:
    """Return what a metric found, None where `base` names none; AnalysisError for its component."""
    if not (metric := _metric_of(dataset, base)):
        return None
    names = dataset.metrics[metric]
    component = base[len(metric) + 1 :] or (names[0] if len(names) == 1 else "")
    if component not in names:
        told = f"has no component {component!r}" if component else "has several components"
        listed = ", ".join(f"{metric}.{name}" for name in names)
        raise AnalysisError(f"{metric} {told}", hint=f"Measures are {listed}")
    frame = dataset.scores(metric)
    runs, steps = frame["run"].to_numpy(), frame["step"].to_numpy().astype(float)
    values, failed = frame[component].to_numpy(), frame["failed"].to_numpy()
    is_known = ~np.isnan(values)
    edges = np.searchsorted(runs[is_known], np.arange(1, dataset.n_runs))
    known = (np.split(column[is_known], edges) for column in (steps, values))
    found = list(zip(*known, strict=True)) if dataset.n_runs else []
    return OutputSeries(found, np.bincount(runs[failed], minlength=dataset.n_runs))


def _reduction(over: str) -> Callable[[Values, Values], float]:
    if over in _OVER_STEPS:
        return _OVER_STEPS[over]
    word, _, number = over.partition("=")
    if word == "at" and number.isdecimal():
        return lambda steps, values: float(next(iter(values[steps == int(number)]), np.nan))
    told = f"Over steps there are {', '.join(_OVER_STEPS)} and at=STEP"
    raise AnalysisError(f"There is no {over!r} over steps", hint=told)


def _plain(values: Values) -> Measured:
    return Measured(values, np.zeros(len(values), np.int64))


def _of_runs(dataset: "Dataset", name: str) -> Values:
    runs = dataset.runs()
    if name == "steps":
        return np.asarray(runs["n_steps"].to_numpy(), float)
    lengths = runs["loop_length"].to_numpy().astype(float)
    return np.where(lengths > 0, lengths, np.nan)


def _distinct(dataset: "Dataset", run: int) -> float:
    """Return the share of a run's stored outputs that are unlike all before them, nan of none."""
    pictures = [dataset.image_bytes(run, step) for step in dataset.image_steps(run)]
    outputs = [*pictures, *dataset.texts(run).values()]
    return len(set(outputs)) / len(outputs) if outputs else np.nan


def _has_dimension(dataset: "Dataset", model: str, dimension: str) -> bool:
    is_there = model in dataset.models_of(DIAGRAMS) and dimension.isdecimal()
    return is_there and int(dimension) < len(dataset.entropy(0, model))


def _of_diagrams(dataset: "Dataset", model: str, dimension: int, kind: str) -> Values:
    return np.array(
        [_OF_DIAGRAMS[kind](dataset, run, model, dimension) for run in range(dataset.n_runs)]
    )


def _entropy(dataset: "Dataset", run: int, model: str, dimension: int) -> float:
    return float(dataset.entropy(run, model)[dimension])


def _persistence(dataset: "Dataset", run: int, model: str, dimension: int) -> float:
    """Return the sum of the lengths of bars that die, nan where it was not finished."""
    if dataset.reason(run, model):
        return np.nan
    found = dataset.diagrams(run, model)
    return summarise_bars(found[dimension]).total if dimension < len(found) else np.nan


_OF_DIAGRAMS: dict[str, Callable[["Dataset", int, str, int], float]] = {
    "entropy": _entropy,
    "persistence": _persistence,
}


def _unknown(dataset: "Dataset", name: str) -> AnalysisError:
    known = known_measures(dataset)
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    listed = f"There are {', '.join(known[:LISTED])}{more}"
    close = nearest(name.partition(":")[0], known)
    return AnalysisError(f"There is no measure {name!r}", hint=f"{close} {listed}".strip())
