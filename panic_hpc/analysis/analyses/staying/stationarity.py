"""Stationarity: does the theme of runs stand still within noise, wander about, or still leave?"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS, share_interval
from panic_hpc.analysis.estimators.dynamics.stationarity import (
    FEWEST_STATES,
    Stationarity,
    stationarity,
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

_DISTANCE = "cosine distance"
_BY_NETWORK = (
    Quantity("network", "its models", ""),
    Quantity("prompts", "independent units", "prompts"),
    Quantity("runs", "runs that were looked at", "runs"),
    Quantity("still", "share of runs whose theme stands still within noise"),
    Quantity("still_low", "lower bound of it, over prompts"),
    Quantity("still_high", "upper bound of it"),
    Quantity("theme", "variance of means of stretches beyond noise", _DISTANCE),
    Quantity("theme_low", "lower bound of it, over prompts", _DISTANCE),
    Quantity("theme_high", "upper bound of it", _DISTANCE),
    Quantity("growth", "distance of stretches six or seven apart less that of three or four",
             _DISTANCE),
    Quantity("growth_low", "lower bound of it, over prompts", _DISTANCE),
    Quantity("growth_high", "upper bound of it", _DISTANCE),
    Quantity("p", "of the null that the theme does not leave: growth is at most 0"),
)  # fmt: skip
_COURSE = (
    Quantity("network", "its models", ""),
    Quantity("states", "since the first stretch", "states"),
    Quantity("distance", "distance from the first stretch", _DISTANCE),
    Quantity("low", "lower bound of it, over prompts", _DISTANCE),
    Quantity("high", "upper bound of it", _DISTANCE),
    Quantity("noise_low", "lower end of the band in which it lies where runs stand still",
             _DISTANCE),
    Quantity("noise_high", "upper end of it", _DISTANCE),
)  # fmt: skip
_BY_RUN = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its models", ""),
    Quantity("p", "that its theme stands still: stretch means as far apart as noise leaves them"),
    Quantity("theme", "variance of its stretch means beyond noise", _DISTANCE),
    Quantity("growth", "distance of stretches far apart less that of nearer ones", _DISTANCE),
)


class StationaritySettings(AnalysisSettings):
    """What the analysis can be told.

    alpha      share of runs that stand still which are allowed to seem to move
    orders     random orders of a run's states, its noise band
    most_runs  of a network that are looked at, evenly spaced
    """

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    orders: int = Field(default=199, ge=19)
    most_runs: int = Field(default=200, ge=1)


def analyse_stationarity(
    trajectories: TrajectorySet, settings: StationaritySettings
) -> AnalysisResult:
    """Compare means of stretches of the second half with noise, and far ones with near ones."""
    gathered = Findings()
    networks: list[tuple[object, ...]] = []
    course: list[tuple[object, ...]] = []
    by_run: list[tuple[object, ...]] = []
    still: list[bool] = []
    prompts: list[str] = []
    for name, own, numbers in networks_with_rows(trajectories):
        with gathered.part("stationarity", name):
            seen = dict(
                looked_at(
                    gathered, "stationarity", name, own, numbers,
                    partial(stationarity, draws=settings.orders),
                    most=settings.most_runs, seed=settings.seed, fewest=FEWEST_STATES,
                )
            )  # fmt: skip
            if not seen:
                raise AnalysisError(f"no run has {FEWEST_STATES} finite states")
            runs, units = list(seen.values()), own.labels.prompt[list(seen)]
            networks.append(_told(name, runs, units, settings, gathered))
            course += _course(name, runs, units, settings.level)
            by_run += [
                (int(numbers[run]), name, one.p, one.theme, one.growth) for run, one in seen.items()
            ]
            still += [one.p > settings.alpha for one in runs]
            prompts += units.tolist()
    if still:
        _sum_up(still, prompts, settings, gathered)
    else:
        gathered.lack("stationarity", "no run is long enough for eight stretches of three states")
    tables = [
        ResultTable.of_rows("stationarity", "network", _BY_NETWORK, networks),
        ResultTable.of_rows("course", "network and time", _COURSE, course),
        ResultTable.of_rows("runs", "run", _BY_RUN, by_run),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _told(
    name: str,
    seen: Sequence[Stationarity],
    prompts: NDArray[np.str_],
    settings: StationaritySettings,
    gathered: Findings,
) -> tuple[object, ...]:
    still = [one.p > settings.alpha for one in seen]
    share, low, high = share_interval(still, prompts.tolist(), settings)
    theme, growth = (
        unit_means([getattr(one, what) for one in seen], prompts) for what in ("theme", "growth")
    )
    is_enough = growth.n >= FEWEST_UNITS
    p = growth.p_above(0.0, 0.5) if is_enough else float("nan")
    leaves = "still leaves" if p < 1 - settings.level else "is not seen to leave for good"
    gathered.statements.append(
        Statement(
            name,
            f"The theme of {share:.0%} of runs stands still within noise"
            f"{between(low, high, settings.level, '.0%')}; that of all varies by {theme.mean:.4f} "
            f"beyond noise and {leaves}",
            share, low, high, settings.level, "1", growth.n, "prompts",
        )
    )  # fmt: skip
    if is_enough:
        null = "stretches far apart in time are no farther apart in place than nearer ones"
        gathered.tests.append(
            HypothesisTest("theme leaves", name, null, growth.mean, p, growth.n, "prompts")
        )
    else:
        gathered.lack("intervals of themes", too_few(growth.n), name)
    numbers = (low, high, *theme.bounded(settings.level), *growth.bounded(settings.level), p)
    return (name, growth.n, len(seen), share, *map(finite, numbers))


def _course(
    name: str, seen: Sequence[Stationarity], prompts: NDArray[np.str_], level: float
) -> list[tuple[object, ...]]:
    """Return how far the theme is from where it was, beside the band of noise."""
    width = float(np.median([one.width for one in seen]))
    # Draws are of one run each: the band is of their mean, as the curve is.
    noise = np.mean([one.noise for one in seen], axis=0)
    band = np.quantile(noise, [(1 - level) / 2, (1 + level) / 2])
    columns = np.stack([one.from_first for one in seen]).T
    return [
        (name, width * place, *map(finite, unit_means(column, prompts).bounded(level)),
         *band.tolist())
        for place, column in enumerate(columns, start=1)
    ]  # fmt: skip


def _sum_up(
    still: list[bool], prompts: list[str], settings: StationaritySettings, gathered: Findings
) -> None:
    share, low, high = share_interval(still, prompts, settings)
    gathered.statements.append(
        Statement(
            "",
            f"The theme of {share:.0%} of runs stands still within noise in their second half"
            f"{between(low, high, settings.level, '.0%')}; that of the others wanders on",
            share, low, high, settings.level, "1", len(set(prompts)), "prompts",
        )
    )  # fmt: skip


PLUGINS = (
    Analysis(
        name="stationarity",
        question=QUESTIONS[1],
        asks="whether the theme of runs stands still within noise, wanders, or still leaves",
        function=analyse_stationarity,
        settings=StationaritySettings,
        order=46,
        figures=(
            FigureSpec(
                name="theme_course",
                table="course",
                form="lines",
                title="How far the theme is from where it was",
                caption="Means of stretches of the second half, from its first one; interval over "
                "prompts. Grey: where noise alone leaves them. A theme that is stationary levels "
                "off, one that leaves goes on rising.",
                x="states",
                y="distance",
                series="network",
                low="low",
                high="high",
                null_low="noise_low",
                null_high="noise_high",
            ),
        ),
    ),
)
