"""Bars of runs in numbers, and Betti curves of networks."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.estimators.bootstrap import mean_interval
from panic_hpc.analysis.estimators.shape.bars import BarSummary, betti_curve, summarise_bars
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.run_diagrams import RunDiagrams, RunDiagramSettings, run_diagrams
from panic_hpc.analysis.trajectory_set import TrajectorySet
from panic_hpc.errors import AnalysisError

GRID = 64
_BARS = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its network", ""),
    Quantity("prompt", "its prompt", ""),
    Quantity("homology_dimension", "0: pieces, 1: loops, 2: hollows", ""),
    Quantity("bars", "bars that die", "bars"),
    Quantity("endless", "bars that never die", "bars"),
    Quantity("total", "sum of lengths", "distance of the diagram"),
    Quantity("longest", "largest length", "distance of the diagram"),
    Quantity("entropy", "persistence entropy, null: no bar dies", "nat"),
)
_BETTI = (
    Quantity("network", "its models", ""),
    Quantity("homology_dimension", "0: pieces, 1: loops, 2: hollows", ""),
    Quantity("scale", "distance up to which states are joined", "distance of the diagram"),
    Quantity("mean", "bars alive, mean over runs", "bars"),
    Quantity("low", "lower bound of it, over prompts; null: too few", "bars"),
    Quantity("high", "upper bound of it", "bars"),
)


def analyse_topology(trajectories: TrajectorySet, settings: RunDiagramSettings) -> AnalysisResult:
    """Sum the diagrams of runs up, run by run and network by network."""
    gathered = Findings()
    bars: list[tuple[object, ...]] = []
    betti: list[tuple[object, ...]] = []
    with gathered.part("topology"):
        known = run_diagrams(trajectories, settings, gathered)
        for dimension in range(known.n_dimensions):
            own = list(_of_dimension(known, dimension, gathered))
            bars += [_row(trajectories, run, dimension, summary) for run, _, summary in own]
            betti += _curves(trajectories, own, dimension, settings)
            _say(trajectories, own, dimension, settings, gathered)
    tables = [
        ResultTable.of_rows("bars", "homology dimension of a run", _BARS, bars),
        ResultTable.of_rows("betti", "scale of a network", _BETTI, betti),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


Own = tuple[int, NDArray[np.float32], BarSummary]


def _of_dimension(known: RunDiagrams, dimension: int, gathered: Findings) -> Iterator[Own]:
    for run, dgms in zip(known.runs.tolist(), known.dgms, strict=True):
        if dimension >= len(dgms):
            gathered.lack(f"H{dimension} of some runs", "it was not finished")
            continue
        try:
            yield run, dgms[dimension], summarise_bars(dgms[dimension])
        except AnalysisError as error:
            gathered.lack(f"H{dimension} of run {run}", str(error))


def _row(
    trajectories: TrajectorySet, run: int, dimension: int, one: BarSummary
) -> tuple[object, ...]:
    labels = trajectories.labels
    return (run, str(labels.network[run]), str(labels.prompt[run]), dimension, one.bars,
            one.endless, one.total, one.longest, finite(one.entropy))  # fmt: skip


def _by_network(trajectories: TrajectorySet, own: list[Own]) -> dict[str, list[Own]]:
    groups: dict[str, list[Own]] = {}
    for one in own:
        groups.setdefault(str(trajectories.labels.network[one[0]]), []).append(one)
    return groups


def _curves(
    trajectories: TrajectorySet, own: list[Own], dimension: int, settings: RunDiagramSettings
) -> Iterator[tuple[object, ...]]:
    deaths = [float(dgm[np.isfinite(dgm[:, 1]), 1].max(initial=0.0)) for _, dgm, _ in own]
    grid = np.linspace(0, max(deaths, default=0.0), GRID)
    for network, mine in _by_network(trajectories, own).items():
        curves = np.array([betti_curve(dgm, grid) for _, dgm, _ in mine], float)
        prompts = trajectories.labels.prompt[[run for run, _, _ in mine]].tolist()
        for scale, values in zip(grid.tolist(), curves.T, strict=True):
            mean, low, high = mean_interval(values, prompts, settings)
            bounds = (None, None) if low != low else (low, high)
            yield network, dimension, scale, mean, *bounds


def _say(
    trajectories: TrajectorySet,
    own: list[Own],
    dimension: int,
    settings: RunDiagramSettings,
    gathered: Findings,
) -> None:
    for network, mine in _by_network(trajectories, own).items():
        prompts = trajectories.labels.prompt[[run for run, _, _ in mine]].tolist()
        entropies = np.array([summary.entropy for _, _, summary in mine])
        if not np.isfinite(entropies).any():
            gathered.lack(f"entropy of H{dimension}", "no run has a bar that dies", network)
            continue
        mean, low, high = mean_interval(entropies, prompts, settings)
        bounds = between(low, high, settings.level, ".2f")
        gathered.statements.append(
            Statement(
                network, f"Persistence entropy of H{dimension} is {mean:.2f} nat{bounds}", mean,
                low, high, settings.level, "nat", len(set(prompts)), "prompts",
            )
        )  # fmt: skip


PLUGINS = (
    Analysis(
        name="topology",
        question="What shape is it?",
        asks="how many pieces, loops and hollows runs have, how long-lived, at which scale",
        function=analyse_topology,
        settings=RunDiagramSettings,
        order=400,
        figures=(
            FigureSpec(
                name="betti",
                table="betti",
                form="lines",
                title="Betti curves",
                caption="Mean over runs of how many pieces (0), loops (1), hollows (2) there are"
                " at a scale.",
                x="scale",
                y="mean",
                series="homology_dimension",
                panels="network",
                low="low",
                high="high",
            ),
            FigureSpec(
                name="entropy_by_prompt",
                table="bars",
                form="distributions",
                title="Persistence entropy by prompt",
                caption="A tick is a run, of any network; bar and dot are quartiles and median.",
                x="prompt",
                y="entropy",
                panels="homology_dimension",
            ),
        ),
    ),
)
