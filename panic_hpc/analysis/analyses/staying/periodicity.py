"""Two-periodicity: do runs alternate between two places?"""

import numpy as np

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS
from panic_hpc.analysis.estimators.dynamics.periodicity import (
    FEWEST_STATES,
    LAGS,
    Alternation,
    alternation,
)
from panic_hpc.analysis.estimators.unit_means import unit_means
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, looked_at, too_few, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import networks_with_rows
from panic_hpc.analysis.trajectory_set import TrajectorySet
from panic_hpc.errors import AnalysisError

MOST_RUNS = 1000
_BY_NETWORK = (
    Quantity("network", "its models", ""),
    Quantity("prompts", "independent units", "prompts"),
    Quantity("runs", "runs that were looked at", "runs"),
    Quantity("two_periodicity", "D(1) - D(2): similarity of states two apart less that of "
             "successive ones", "cosine distance"),
    Quantity("excess", "(D(1) + D(3)) / 2 - D(2): above 0 runs alternate, whatever they drift by",
             "cosine distance"),
    Quantity("excess_low", "lower bound of it, over prompts", "cosine distance"),
    Quantity("excess_high", "upper bound of it", "cosine distance"),
    Quantity("p", "of the null that the excess is at most 0; null: too few prompts"),
)  # fmt: skip
_BY_LAG = (
    Quantity("network", "its models", ""),
    Quantity("lag", "states from one to the other", "states"),
    Quantity("distance", "mean distance of two states", "cosine distance"),
    Quantity("low", "lower bound of it, over prompts", "cosine distance"),
    Quantity("high", "upper bound of it", "cosine distance"),
)  # fmt: skip


def analyse_periodicity(trajectories: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Compare the distances of states one, two and three apart in each network."""
    gathered = Findings()
    networks: list[tuple[object, ...]] = []
    by_lag: list[tuple[object, ...]] = []
    if not trajectories.lengths.any():
        gathered.lack("periods", "no run has a state")
    for name, own, numbers in networks_with_rows(trajectories):
        with gathered.part("periods", name):
            seen = dict(
                looked_at(
                    gathered, "periods", name, own, numbers, alternation,
                    most=MOST_RUNS, seed=settings.seed, fewest=2 * FEWEST_STATES,
                )
            )  # fmt: skip
            if not seen:
                raise AnalysisError(f"no run has {2 * FEWEST_STATES} finite states")
            prompts = own.labels.prompt[list(seen)]
            networks.append(_told(name, list(seen.values()), prompts, settings.level, gathered))
            curves = np.stack([one.displacement for one in seen.values()])
            for lag, column in zip(LAGS.tolist(), curves.T, strict=True):
                bounds = unit_means(column, prompts).bounded(settings.level)
                by_lag.append((name, lag, *map(finite, bounds)))
    tables = [
        ResultTable.of_rows("alternation", "network", _BY_NETWORK, networks),
        ResultTable.of_rows("by_lag", "network and lag", _BY_LAG, by_lag),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _told(
    name: str,
    seen: list[Alternation],
    prompts: np.ndarray,
    level: float,
    gathered: Findings,
) -> tuple[object, ...]:
    means = unit_means([one.excess for one in seen], prompts)
    two = unit_means([one.two_periodicity for one in seen], prompts).mean
    excess, low, high = means.bounded(level)
    p = means.p_above(0.0, 0.5) if means.n >= FEWEST_UNITS else float("nan")
    gathered.statements.append(
        Statement(
            name,
            f"States two apart are {abs(excess):.4f} {'nearer' if excess > 0 else 'farther'} than "
            f"halfway between those one and three apart{between(low, high, level, '.4f')}: "
            f"{'runs alternate' if low > 0 else 'no sign that runs alternate'}",
            excess, low, high, level, "cosine distance", means.n, "prompts",
        )
    )  # fmt: skip
    if np.isfinite(p):
        null = "the distance of states is concave in the time between them (noise and drift)"
        gathered.tests.append(
            HypothesisTest("alternation", name, null, excess, p, means.n, "prompts")
        )
    else:
        gathered.lack("intervals of periods", too_few(means.n), name)
    return (name, means.n, len(seen), two, excess, *map(finite, (low, high, p)))


PLUGINS = (
    Analysis(
        name="periodicity",
        question=QUESTIONS[1],
        asks="whether runs alternate between two places",
        function=analyse_periodicity,
        order=47,
        answer=in_networks(
            "runs alternate between two places (interval of the excess above 0)",
            lambda one: one.low > 0,
            "excess",
            "+.4f",
        ),
        figures=(
            FigureSpec(
                name="distance_by_lag",
                table="by_lag",
                form="lines",
                title="How far apart states of a run are, by the time between them",
                caption="Second half of the runs, interval over prompts. Drift makes a curve that "
                "rises and flattens; a run that alternates makes a zigzag.",
                x="lag",
                y="distance",
                series="network",
                low="low",
                high="high",
            ),
        ),
    ),
)
