"""The response of a loop to steering: a measure by step, of steered runs and of unsteered twins.

A steered network's twin is the network of the same dataset whose models differ from its own in
nothing but steering. Runs pair by prompt and seed, as in every comparison.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from panic_hpc.analysis.comparing.arms import Arm, arms_of
from panic_hpc.analysis.comparing.comparison import compare
from panic_hpc.analysis.comparing.measures import (
    Measured,
    OutputSeries,
    RunOf,
    Values,
    score_series,
    twin_measure,
    twin_series,
)
from panic_hpc.analysis.estimators.paired import PairedDifference
from panic_hpc.errors import AnalysisError
from panic_hpc.keys import content_key
from panic_hpc.store.dataset.frames import models_of_shards
from panic_hpc.types import RUNS, is_visit_in

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

ARROW = " → "


@dataclass(frozen=True, slots=True)
class ResponsePoint:
    """One step of a curve.

    Attributes:
        step: The step, which is that of an output.
        iteration: How often its model had been visited before.
        is_steered: Whether that visit is steered.
        mean, twin: Over prompts; of the twin nan for distances from it.
        difference: Between them, in pairs, with its interval.
        n_pairs: Pairs that have a value.
    """

    step: int
    iteration: int
    is_steered: bool
    mean: float
    twin: float
    difference: PairedDifference | None
    n_pairs: int


@dataclass(frozen=True, slots=True)
class Response:
    """The curve of one steered network."""

    network: str
    twin: str
    measure: str
    points: tuple[ResponsePoint, ...]


def responses(dataset: "Dataset", measure: str) -> list[Response]:
    """Return the curve of each steered network that has a twin; AnalysisError where none has.

    `measure` is one of single outputs, without what is done over steps: `scene.square`,
    `twin.MicroImage`.
    """
    arms = {arm.name: arm for arm in arms_of([dataset])}
    settings = _identities(dataset)
    pairs = list(_twins(list(arms), settings))
    if not pairs:
        raise AnalysisError(
            f"{dataset.path} has no steered network with an unsteered twin",
            hint="strength = [0.0, 1.0] in a steering table makes both",
        )
    stored = _ReadOnce()
    return [_response(dataset, arms[a], arms[b], measure, settings, stored) for a, b in pairs]


class _ReadOnce:
    """Measures of one dataset's outputs, read at the first of the steps that they are asked at."""

    def __init__(self) -> None:
        self._scores: dict[str, OutputSeries | None] = {}
        self._gaps: dict[tuple[int, ...], OutputSeries] = {}

    def scores(self, dataset: "Dataset", name: str) -> Measured | None:
        """Return a measure of metrics, None for another one."""
        base, _, over = name.partition(":")
        if base not in self._scores:
            self._scores[base] = score_series(dataset, base)
        series = self._scores[base]
        return series.over(over) if series else None

    def distances(self, runs: Sequence[RunOf], twins: Sequence[RunOf], name: str) -> Values:
        """Return how far runs are from their twins."""
        key = tuple(row for _, row in (*runs, *twins))
        if key not in self._gaps:
            self._gaps[key] = twin_series(runs, twins, name)
        return self._gaps[key].over(name.partition(":")[2]).values


def _identities(dataset: "Dataset") -> Mapping[str, Mapping[str, Any]]:
    """Return what decides each model's outputs, by its name, from the shards of runs."""
    found: dict[str, Mapping[str, Any]] = {}
    for models in models_of_shards(dataset, RUNS):
        found |= models
    return found


def _twins(
    networks: Sequence[str], identities: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    unsteered = {
        _without_steering(network, identities): network
        for network in networks
        if not _windows(network, identities)
    }
    for network in networks:
        twin = unsteered.get(_without_steering(network, identities))
        if _windows(network, identities) and twin:
            yield network, twin


def _windows(network: str, identities: Mapping[str, Mapping[str, Any]]) -> dict[int, Any]:
    """Return the steering table of each place of a network that is steered."""
    models = [identities.get(name, {}) for name in network.split(ARROW)]
    tables = {at: one.get("settings", {}).get("steering") for at, one in enumerate(models)}
    return {at: table for at, table in tables.items() if table}


def _without_steering(network: str, identities: Mapping[str, Mapping[str, Any]]) -> str:
    models = []
    for name in network.split(ARROW):
        own = {key: value for key, value in identities.get(name, {}).items() if key != "loaded"}
        settings = {k: v for k, v in own.get("settings", {}).items() if k != "steering"}
        models.append({**own, "settings": settings})
    return content_key(models)


def _response(
    dataset: "Dataset",
    arm: Arm,
    twin: Arm,
    measure: str,
    identities: Mapping[str, Mapping[str, Any]],
    stored: _ReadOnce,
) -> Response:
    length = len(arm.name.split(ARROW))
    windows = _windows(arm.name, identities)
    is_distance = twin_measure(measure) is not None
    points = []
    for step in range(_most_steps(dataset, arm)):
        name = f"{measure}:at={step}"
        base, own = compare(
            [twin, arm], twin, name, more=stored.scores, distances=stored.distances
        ).arms
        if own.n_without == own.n_runs:
            continue
        visit = step // length
        points.append(
            ResponsePoint(
                step,
                visit,
                any(is_visit_in(table.get("iterations"), visit) for table in windows.values()),
                own.mean,
                float("nan") if is_distance else base.mean,
                None if is_distance else own.difference,
                own.difference.n_pairs if own.difference else 0,
            )
        )
    return Response(arm.name, twin.name, measure, tuple(points))


def _most_steps(dataset: "Dataset", arm: Arm) -> int:
    steps = dataset.file.whole("runs/n_steps")[arm.runs]
    return int(steps.max(initial=0))
