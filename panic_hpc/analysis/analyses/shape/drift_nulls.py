"""Diagrams of runs against walks of the same drift; beside them the dataset's own surrogates.

Tested is H1 and what is above it. H0 is made of the distances to which the walks were fitted: its
ranks stand in the table without a p, as do those among the dataset's own surrogates (Gaussian,
phase-randomised), from which runs of nothing but drift differ too.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.estimators.shape.bars import summarise_bars
from panic_hpc.analysis.estimators.shape.drift import FEWEST_STATES, fit_drift
from panic_hpc.analysis.estimators.shape.nulls import AgainstNull, against_null
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.run_diagrams import (
    MAXDIM,
    RunDiagrams,
    RunDiagramSettings,
    cloud_of,
    run_diagrams,
    spread_runs,
)
from panic_hpc.analysis.samples import networks_of
from panic_hpc.analysis.trajectory_set import TrajectorySet
from panic_hpc.errors import AnalysisError
from panic_hpc.homology.api import diagrams
from panic_hpc.plain_text import counted
from panic_hpc.types import DIAGRAMS

STATISTICS = ("entropy", "total", "longest")
OWN = "drift_matched"
SETTLED = 0.3
"""Share of a run that is left out at its start, where it is still on its way from the prompt."""
_COLUMNS = (
    Quantity("network", "its models", ""),
    Quantity("null_model", "drift_matched, or of the dataset: gaussian, phase_randomised", ""),
    Quantity("homology_dimension", "0: pieces, 1: loops, 2: hollows", ""),
    Quantity("statistic", "of the bars that die", ""),
    Quantity("rank", "mean place of a run among its surrogates, 0.5 under the null"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("above", "share of runs above all of their surrogates"),
    Quantity("below", "share of runs below all of them"),
    Quantity("p", "of the null that runs are like their surrogates; null: no valid test"),
    Quantity("runs", "runs compared", "runs"),
    Quantity("surrogates", "draws a run", "draws"),
)

Table = NDArray[np.float64]


class NullSettings(RunDiagramSettings):
    """What the analysis can be told.

    most_runs, most_states  of which walks are drawn
    surrogates              walks a run
    """

    most_runs: int = Field(default=96, ge=1)
    most_states: int = Field(default=100, ge=FEWEST_STATES)
    surrogates: int = Field(default=19, ge=3)


Compared = tuple[NDArray[np.int64], Table, Table]
"""Runs, (runs, dimensions, statistics) of them, (runs, draws, dimensions, statistics)."""


def analyse_drift_nulls(trajectories: TrajectorySet, settings: NullSettings) -> AnalysisResult:
    """Rank the bars of runs among those of surrogates of themselves."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    with gathered.part("drift nulls"):
        rows += _compared(
            trajectories, OWN, _computed(trajectories, settings, gathered), settings, gathered
        )
    for null, compared in _of_dataset(trajectories, settings, gathered).items():
        rows += _compared(trajectories, null, compared, settings, gathered)
    table = ResultTable.of_rows("drift_nulls", "statistic of a network", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _compared(
    trajectories: TrajectorySet,
    null: str,
    compared: Compared,
    settings: NullSettings,
    gathered: Findings,
) -> list[tuple[object, ...]]:
    runs, observed, drawn = compared
    chosen = trajectories.select(runs)
    rows: list[tuple[object, ...]] = []
    for network, _ in networks_of(chosen):
        own = chosen.labels.network == network
        for dimension in range(observed.shape[1]):
            rows += _rows(
                network, null, dimension, observed[own, dimension], drawn[own, :, dimension],
                chosen.labels.prompt[own], settings, gathered,
            )  # fmt: skip
    return rows


def _of_dataset(
    trajectories: TrajectorySet, settings: NullSettings, gathered: Findings
) -> dict[str, Compared]:
    """Return what the dataset's own surrogates say, {} where it has none."""
    dataset = trajectories.dataset
    if dataset is None or trajectories.model not in dataset.models_of(DIAGRAMS):
        return {}
    if trajectories.n_runs == 0 or not dataset.null_models(0, trajectories.model):
        return {}
    with gathered.part("surrogates of the dataset"):
        known = run_diagrams(trajectories, settings, gathered)
        drawn = [dataset.null_models(run, trajectories.model) for run in known.runs.tolist()]
        by_null = {null: np.array([one[null] for one in drawn]) for null in drawn[0]}
        n_dimensions = next(iter(by_null.values())).shape[2]
        observed = _statistics(known, n_dimensions)
        return {null: (known.runs, observed, values) for null, values in by_null.items()}
    return {}


def _statistics(known: RunDiagrams, n_dimensions: int) -> Table:
    found = np.full((len(known.runs), n_dimensions, len(STATISTICS)), np.nan)
    for place, dgms in enumerate(known.dgms):
        for dimension, dgm in enumerate(dgms[:n_dimensions]):
            found[place, dimension] = _numbers(dgm)
    return found


def _numbers(dgm: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return entropy (0 of no bar: ranks need a number), total and longest length."""
    one = summarise_bars(dgm)
    return (one.entropy if np.isfinite(one.entropy) else 0.0), one.total, one.longest


def _computed(trajectories: TrajectorySet, settings: NullSettings, gathered: Findings) -> Compared:
    runs: list[int] = []
    observed, drawn = [], []
    for run in spread_runs(trajectories, settings.most_runs).tolist():
        with gathered.part("drift of some runs"):
            cloud = cloud_of(trajectories, run, settings.most_states, SETTLED)
            drift = fit_drift(cloud)
            rng = np.random.default_rng([settings.seed, run])
            runs.append(run)
            observed.append(_of_cloud(cloud))
            drawn.append([_of_cloud(drift.draw(rng)) for _ in range(settings.surrogates)])
    if not runs:
        raise AnalysisError("no run has a drift that can be fitted")
    if len(runs) < int((trajectories.lengths > 0).sum()):
        gathered.lack(
            "drift nulls of all runs",
            f"drawn for {len(runs)} of {counted(trajectories.n_runs, 'run')}",
        )
    return np.array(runs, np.int64), np.array(observed), np.array(drawn)


def _of_cloud(cloud: NDArray[np.float32]) -> list[tuple[float, float, float]]:
    return [_numbers(dgm) for dgm in diagrams(cloud, MAXDIM).dgms]


def _rows(
    network: str,
    null: str,
    dimension: int,
    observed: Table,
    drawn: Table,
    prompts: NDArray[np.str_],
    settings: NullSettings,
    gathered: Findings,
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for place, statistic in enumerate(STATISTICS):
        with gathered.part(f"ranks of H{dimension}", network):
            one = against_null(observed[:, place], drawn[:, :, place], prompts, settings.level)
            is_tested = null == OWN and dimension > 0
            p = one.p if is_tested else None
            rows.append((network, null, dimension, statistic, one.rank, one.low, one.high,
                         one.above, one.below, p, one.n_runs, one.surrogates))  # fmt: skip
            if is_tested:
                _say(network, dimension, statistic, one, settings.level, gathered)
    return rows


def _say(
    network: str,
    dimension: int,
    statistic: str,
    one: AgainstNull,
    level: float,
    gathered: Findings,
) -> None:
    gathered.tests.append(
        HypothesisTest(
            "diagrams against drift", f"{network}: H{dimension} {statistic}",
            "a run is like walks of the same drift", one.rank, one.p, one.n_prompts, "prompts",
            one.surrogates,
        )
    )  # fmt: skip
    if statistic == "total":
        bounds = between(one.low, one.high, level, ".2f")
        gathered.statements.append(
            Statement(
                network,
                f"The total persistence of H{dimension} lies at rank {one.rank:.2f}{bounds} among "
                f"walks of the same drift (0.5: nothing beyond it); above all of them "
                f"{one.above:.0%} of runs, below all {one.below:.0%}",
                one.rank, one.low, one.high, level, "1", one.n_prompts, "prompts",
            )
        )  # fmt: skip


PLUGINS = (
    Analysis(
        name="drift-nulls",
        question="What shape is it?",
        asks="whether pieces and loops of runs are more than drift alone makes",
        function=analyse_drift_nulls,
        settings=NullSettings,
        order=410,
        answer=in_networks(
            "H1 persists more than walks of the same drift do (interval of its rank above 0.5)",
            lambda one: one.low > 0.5,
            "ranks",
            ".2f",
            begins="The total persistence of H1",
        ),
        figures=(
            FigureSpec(
                name="ranks",
                table="drift_nulls",
                form="intervals",
                title="Diagrams beside those of walks of the same drift",
                caption="Rank of each run's statistic among its surrogates; 0.5 (line): nothing "
                "beyond drift.",
                x="statistic",
                y="rank",
                series="homology_dimension",
                panels="network",
                reference=0.5,
                low="low",
                high="high",
            ),
        ),
    ),
)
