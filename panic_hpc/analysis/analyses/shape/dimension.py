"""Intrinsic dimension of runs and of networks, from the two nearest neighbours of their states."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.base import Analysis, AnalysisSettings
from panic_hpc.analysis.compared_networks import ComparedNetworks
from panic_hpc.analysis.estimators.bootstrap import mean_interval
from panic_hpc.analysis.estimators.shape.dimension import two_nn
from panic_hpc.analysis.estimators.shape.prefixes import prefixes
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.run_numbers import mean_distance
from panic_hpc.analysis.samples import networks_of, spread_places, spread_states
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

_RUNS = (
    Quantity("network", "its models", ""),
    Quantity("prompt", "of the run", ""),
    Quantity("seed", "of the run", ""),
    Quantity("states", "states looked at", "states"),
    Quantity("window", "states of the run that are no neighbours, before and after", "states"),
    Quantity("dimension", "intrinsic dimension (TwoNN)"),
)
_NETWORKS = (
    Quantity("network", "its models", ""),
    Quantity("runs", "runs that were measured", "runs"),
    Quantity("within_runs", "mean intrinsic dimension of a run"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity(
        "of_all",
        "intrinsic dimension of its states, by neighbours in other runs; null: too few",
    ),
)
_PREFIXES = (
    Quantity("components", "first components of each vector, scaled to length 1 again"),
    Quantity("spearman", "rank correlation of their distances with those of whole vectors"),
    Quantity("overlap", "share of the ten nearest states that stay among the ten nearest"),
    Quantity("none", "0, where the band of the null begins"),
    Quantity("by_chance", "the same correlation of as many components drawn at random"),
)


class DimensionSettings(AnalysisSettings):
    """What the analysis can be told.

    most_states  of a run, and of all runs of a network, that are looked at
    most_runs    of a network that are measured
    """

    most_states: int = Field(default=500, ge=10)
    most_runs: int = Field(default=20, ge=1)


def analyse_dimension(trajectories: TrajectorySet, settings: DimensionSettings) -> AnalysisResult:
    """Measure the intrinsic dimension of runs, and of each network's states together."""
    gathered = Findings()
    runs: list[tuple[object, ...]] = []
    networks: list[tuple[object, ...]] = []
    compared = ComparedNetworks()
    for name, own in networks_of(trajectories):
        with gathered.part("dimension", name):
            chosen = spread_places(own.n_runs, settings.most_runs)
            if len(chosen) < own.n_runs:
                gathered.lack("all runs", f"{len(chosen)} of {own.n_runs} were measured", name)
            measured = _measured(own, chosen, settings, gathered, name)
            runs += [(name, *row) for row in measured]
            if not measured:
                raise AnalysisError("no run has enough different states")
            prompts, values = [row[0] for row in measured], [float(row[-1]) for row in measured]
            compared.add(name, values, prompts)
            interval = mean_interval(values, prompts, settings)
            networks.append((name, len(measured), *interval, _of_all(own, settings)))
            _say(name, interval, len(set(prompts)), settings.level, gathered)
    compared.tell("A run moves in {least:.1f} to {most:.1f} dimensions", "dimension", "1", settings,
                  gathered)  # fmt: skip
    if not runs:
        gathered.lack("dimension", "no run has enough states that differ")
    kept: list[tuple[object, ...]] = []
    with gathered.part("what the first components keep"):
        kept += _prefixes(trajectories, settings)
    tables = [
        ResultTable.of_rows("run_dimensions", "run", _RUNS, runs),
        ResultTable.of_rows("network_dimensions", "network", _NETWORKS, networks),
        ResultTable.of_rows("prefixes", "number of components", _PREFIXES, kept),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _measured(
    own: TrajectorySet,
    chosen: NDArray[np.int64],
    settings: DimensionSettings,
    gathered: Findings,
    name: str,
) -> list[tuple[str, int, int, int, float]]:
    rows = []
    for run in chosen.tolist():
        states = unit_rows(own.of_run(run)[: settings.most_states])
        window = correlation_window(states)
        try:
            dimension = two_nn(states, window)
        except AnalysisError as error:
            gathered.lack("some runs", str(error), name)
            continue
        label = str(own.labels.prompt[run]), int(own.labels.seed[run])
        rows.append((*label, len(states), window, dimension))
    return rows


def correlation_window(states: NDArray[np.float32]) -> int:
    """Return after how many states distances reach 1 - 1/e of that of any two states; at most T/5.

    Neighbours nearer in time than that are the run itself, and would make it a curve.
    """
    known = states[np.isfinite(states).all(axis=1)].astype(np.float64)
    n = len(known)
    if n < 5:
        return 0
    far = mean_distance(known)
    for lag in range(1, n // 5):
        near = 1 - float(np.einsum("td,td->t", known[lag:], known[:-lag]).mean())
        if near >= (1 - np.exp(-1)) * far:
            return lag - 1
    return n // 5


def _of_all(own: TrajectorySet, settings: DimensionSettings) -> float | None:
    sample = spread_states(own, settings.most_states)
    try:
        return two_nn(unit_rows(own.vectors[sample.rows]), runs=sample.runs)
    except AnalysisError:
        return None


def _prefixes(trajectories: TrajectorySet, settings: DimensionSettings) -> list[tuple[object, ...]]:
    sample = spread_states(trajectories, 2 * settings.most_states)
    # Of many runs each gives one state, more than are asked for.
    rows = sample.rows[spread_places(len(sample.rows), 2 * settings.most_states)]
    states = unit_rows(trajectories.vectors[rows])
    states = states[np.isfinite(states).all(axis=1)]
    found = list(prefixes(states, np.random.default_rng(settings.seed)))
    if not found:
        raise AnalysisError(f"{counted(states.shape[1], 'component')}: halves of them are too few")
    return [(one.components, one.spearman, one.overlap, 0.0, one.by_chance) for one in found]


def _say(
    name: str,
    interval: tuple[float, float, float],
    n_prompts: int,
    level: float,
    gathered: Findings,
) -> None:
    mean, low, high = interval
    bounds = between(low, high, level, ".1f")
    gathered.statements.append(
        Statement(
            name, f"A run moves in {mean:.1f} dimensions{bounds}", mean, low, high, level, "1",
            n_prompts, "prompts",
        )
    )  # fmt: skip


PLUGINS = (
    Analysis(
        name="dimension",
        question="What shape is it?",
        asks="in how many dimensions a run, and all runs of a network, really move",
        function=analyse_dimension,
        settings=DimensionSettings,
        order=420,
        figures=(
            FigureSpec(
                name="dimensions",
                table="network_dimensions",
                form="intervals",
                title="In how many dimensions runs move",
                caption="TwoNN within runs, interval over prompts.",
                x="network",
                y="within_runs",
                low="low",
                high="high",
            ),
            FigureSpec(
                name="prefixes",
                table="prefixes",
                form="lines",
                title="What the first components of embeddings keep of distances",
                caption="Rank correlation of distances by the first components with those by all. "
                "Grey edge: as many components drawn at random.",
                x="components",
                y="spearman",
                null_low="none",
                null_high="by_chance",
                log="x",
            ),
        ),
    ),
)
