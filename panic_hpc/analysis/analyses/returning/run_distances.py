"""Distances of whole runs, from twins to strangers: in step, warped, as sets, by diagrams."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import about
from panic_hpc.analysis.base import QUESTIONS, Analysis
from panic_hpc.analysis.estimators.similarity.kinds import Pairs, pairs_by_kind
from panic_hpc.analysis.estimators.similarity.warping import energy_distance, in_step, warped
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.run_diagrams import RunDiagramSettings, run_diagrams
from panic_hpc.analysis.samples import has_shared_seeds, time_grid
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.errors import AnalysisError

MEASURES = {
    "in_step": ("cosine distance", "states at equal steps"),
    "warped": ("cosine distance", "states along the best alignment in time"),
    "energy": ("length of a unit vector", "sets of states without order"),
    "bottleneck_H0": ("distance of the diagram", "diagrams of pieces: a control"),
    "bottleneck_H1": ("distance of the diagram", "diagrams of loops: a control"),
}
PAIRS_AT_ONCE = 64
_COLUMNS = (
    Quantity("measure", "what is compared", ""),
    Quantity("unit", "of the distance", ""),
    Quantity("kind", "what the two runs do not share", ""),
    Quantity("distance", "mean over pairs", "unit of the row"),
    Quantity("low", "lower bound of it, whole prompts left out", "unit of the row"),
    Quantity("high", "upper bound of it", "unit of the row"),
    Quantity("ratio", "to the distance of twins; null: there are none"),
    Quantity("pairs", "drawn", "pairs"),
    Quantity("runs", "runs in these pairs", "runs"),
)
_PAIRS = (
    Quantity("measure", "what is compared", ""),
    Quantity("kind", "what the two runs do not share", ""),
    Quantity("distance", "distance of two runs", "unit of the measure"),
)


class RunDistanceSettings(RunDiagramSettings):
    """What the analysis can be told.

    most_pairs  of each kind, drawn at random
    most_states of each run, evenly spaced
    band        share of a run by which the alignment in time may leave the diagonal
    """

    most_pairs: int = Field(default=300, ge=1)
    most_states: int = Field(default=100, ge=2)
    band: float = Field(default=0.1, ge=0.0, le=1.0)


def analyse_run_distances(
    trajectories: TrajectorySet, settings: RunDistanceSettings
) -> AnalysisResult:
    """Compare pairs of runs that share network and prompt, one of them, or neither."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    pairs: list[tuple[object, ...]] = []
    with gathered.part("run distances"):
        there = np.flatnonzero(trajectories.lengths > 1)
        if len(there) < 2:
            raise AnalysisError("fewer than two runs have two states")
        with gathered.part("distances of states"):
            own = trajectories.select(there)
            of_states = _of_states(own, settings, gathered)
            pairs += _each(of_states)
            rows += _rows(own, of_states, settings, gathered)
        with gathered.part("distances of diagrams"):
            chosen, of_diagrams = _of_diagrams(trajectories, settings, gathered)
            pairs += _each(of_diagrams)
            rows += _rows(chosen, of_diagrams, settings, gathered)
    tables = [
        ResultTable.of_rows("run_distances", "kind of pair by a measure", _COLUMNS, rows),
        ResultTable.of_rows("pairs", "pair of runs by a measure", _PAIRS, pairs),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


Measured = list[tuple[Pairs, Mapping[str, NDArray[np.float64]]]]


def _of_states(own: TrajectorySet, settings: RunDistanceSettings, gathered: Findings) -> Measured:
    length = int(np.median(own.lengths))
    grid = time_grid(length, settings.most_states)
    whole = own.lengths >= length
    if not whole.all():
        gathered.lack("distances of all runs", f"{int((~whole).sum())} are shorter than {length}")
    usable = np.flatnonzero(whole)
    labels = own.labels.select(usable)
    band = max(1, round(settings.band * len(grid)))
    measured: Measured = []
    for pairs in _pairs(labels, settings):
        parts = [
            _measure(own, usable[pairs.first[at]], usable[pairs.second[at]], grid, band)
            for at in np.array_split(
                np.arange(len(pairs.first)), -(-len(pairs.first) // PAIRS_AT_ONCE)
            )
        ]
        values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        measured.append((pairs, values))
    return measured


def _pairs(labels: RunLabels, settings: RunDistanceSettings) -> list[Pairs]:
    noise = labels.seed if has_shared_seeds(labels) else None
    return pairs_by_kind(labels.network, labels.prompt, settings.most_pairs, settings.seed, noise)


def _measure(
    own: TrajectorySet,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    grid: NDArray[np.int64],
    band: int,
) -> dict[str, NDArray[np.float64]]:
    a, b = (own.select(runs).at(grid) for runs in (first, second))
    known = np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2))
    found = {name: np.full(len(a), np.nan) for name in ("in_step", "warped", "energy")}
    if known.any():
        found["in_step"][known] = in_step(a[known], b[known])
        found["warped"][known] = warped(a[known], b[known], band)
        found["energy"][known] = [
            energy_distance(x, y) for x, y in zip(a[known], b[known], strict=True)
        ]
    return found


def _of_diagrams(
    trajectories: TrajectorySet, settings: RunDistanceSettings, gathered: Findings
) -> tuple[TrajectorySet, Measured]:
    from panic_hpc.homology.distances import bottleneck

    known = run_diagrams(trajectories, settings, gathered)
    chosen = trajectories.select(known.runs)
    measured: Measured = []
    for pairs in _pairs(chosen.labels, settings):
        values = {
            f"bottleneck_H{dimension}": np.array(
                [
                    bottleneck(known.dgms[a][dimension], known.dgms[b][dimension], 0.01)
                    if dimension < min(len(known.dgms[a]), len(known.dgms[b]))
                    else np.nan
                    for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
                ]
            )
            for dimension in range(min(2, known.n_dimensions))
        }
        measured.append((pairs, values))
    return chosen, measured


def _each(measured: Measured) -> Iterator[tuple[object, ...]]:
    """Yield (measure, kind, distance) of each pair, measure by measure."""
    for name in measured[0][1] if measured else ():
        for pairs, values in measured:
            yield from ((name, pairs.kind, value) for value in values[name].tolist())


def _rows(
    own: TrajectorySet, measured: Measured, settings: RunDistanceSettings, gathered: Findings
) -> list[tuple[object, ...]]:
    if not measured:
        raise AnalysisError("there are no two runs to compare")
    rows: list[tuple[object, ...]] = []
    for name in measured[0][1]:
        unit = MEASURES[name][0]
        twins = None
        for pairs, values in measured:
            mean, low, high = pairs.mean(values[name], settings.level)
            if not np.isfinite(mean):
                gathered.lack(f"{name} of {pairs.kind}", "no pair has finite states throughout")
                continue
            twins = mean if pairs.kind == "twins" else twins
            ratio = mean / twins if twins else None
            n_runs = len(np.unique([pairs.first, pairs.second]))
            rows.append((name, unit, pairs.kind, mean, low, high, ratio, len(pairs.first), n_runs))
            n_prompts = len(np.unique(np.concatenate(pairs.prompts)))
            times = f", {ratio:.2f} times as far as twins" if ratio and ratio != 1 else ""
            bounds = between(low, high, settings.level)
            gathered.statements.append(
                Statement(
                    f"{name}, {pairs.kind}",
                    f"By {MEASURES[name][1]}, {_said(pairs.kind)} are {mean:z.3f} apart"
                    f"{bounds}{times}", mean, low, high, settings.level, unit, n_prompts, "prompts",
                )
            )  # fmt: skip
    return rows


def _said(kind: str) -> str:
    return kind if kind == "twins" else f"runs of {kind.replace('other', 'another', 1)}"


PLUGINS = (
    Analysis(
        name="run-distances",
        question=QUESTIONS[2],
        asks="how far whole runs are apart: in step, warped in time, as sets, by their diagrams",
        function=analyse_run_distances,
        settings=RunDistanceSettings,
        order=205,
        answer=about("in_step, other prompt"),
        figures=(
            FigureSpec(
                name="distances",
                table="run_distances",
                form="intervals",
                title="How far whole runs are apart",
                caption="By each measure, in its own unit.",
                x="kind",
                y="distance",
                panels="measure",
                low="low",
                high="high",
            ),
            FigureSpec(
                name="spread",
                table="pairs",
                form="distributions",
                title="How far each pair of runs is apart",
                caption="A tick is a pair; bar and dot are quartiles and median. Pairs share runs: "
                "intervals are in the figure of means.",
                x="kind",
                y="distance",
                panels="measure",
            ),
        ),
    ),
)
