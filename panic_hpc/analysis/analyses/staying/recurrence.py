"""Recurrence quantification: where runs come back, do they stay, more than drift makes them?"""

from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.dynamics.recurrence import (
    RecurrencePlot,
    noise_threshold,
    recurrence,
    theiler_window,
)
from panic_hpc.analysis.estimators.shape.drift import FEWEST_STATES, Drift, fit_drift
from panic_hpc.analysis.estimators.shape.nulls import AgainstNull, against_null
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, looked_at, units_of
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

SETTLED = 0.3
"""Share of a run that is left out at its start, where it is still on its way from the prompt."""
COMPARED = ("determinism", "laminarity", "trapping_time")
LEADING = "laminarity"
BEYOND = 0.35
"""How far from 0.5 a rank must be, with all of its interval, to be more than drift of another kind.

Walks are Gaussian and alike in all dimensions; drift that is not has mean ranks up to 0.82.
"""
_BY_NETWORK = (
    Quantity("network", "its models", ""),
    Quantity("measure", "of recurrence plots, at the rate of the run", ""),
    Quantity("value", "its mean over runs: states for trapping_time, else a share", ""),
    Quantity("of_drift", "the same of walks of the runs' drift", ""),
    Quantity("rank", "mean rank of a run among walks of its drift"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("p", "of the null that runs are like walks of their drift"),
    Quantity("above", "share of runs above all of their walks"),
    Quantity("window", "states of the run that are no return (Theiler)", "states"),
    Quantity("runs", "runs compared", "runs"),
    Quantity("prompts", "independent units", "prompts"),
)
_BY_RUN = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its models", ""),
    Quantity("threshold", "distance that noise leaves between its states", "cosine distance"),
    Quantity("within_noise", "share of pairs of states beyond the window that are so near"),
    Quantity("walks_within_noise", "the same of walks of its drift"),
    Quantity("recurrence_rate", "share of pairs that count as recurring: the same, at least "
             "`least_rate`"),
    Quantity("determinism", "share of recurrences in which it goes on as before"),
    Quantity("laminarity", "share of recurrences in which it stays where it was before"),
    Quantity("trapping_time", "mean length of these stays", "states"),
)  # fmt: skip


class RecurrenceSettings(AnalysisSettings):
    """What the analysis can be told.

    within       share of pairs of states parted by noise alone that recur
    least_rate   share of a run's pairs that recur at least: its nearest, where noise has fewer
    surrogates   walks of a run's drift
    most_states  the last of each run, at most
    most_runs    of a network that are looked at, evenly spaced
    """

    within: float = Field(default=0.9, gt=0, lt=1)
    least_rate: float = Field(default=0.02, gt=0, lt=0.5)
    surrogates: int = Field(default=19, ge=3)
    most_states: int = Field(default=300, ge=16)
    most_runs: int = Field(default=40, ge=1)


@dataclass
class _Compared:
    """Of each run: row, prompt, threshold, recurrence within it, measures, those of its walks."""

    runs: list[int] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    within_noise: list[float] = field(default_factory=list)
    walks_within_noise: list[float] = field(default_factory=list)
    observed: list[tuple[float, ...]] = field(default_factory=list)
    drawn: list[list[tuple[float, ...]]] = field(default_factory=list)


def analyse_recurrence(trajectories: TrajectorySet, settings: RecurrenceSettings) -> AnalysisResult:
    """Quantify the recurrence plots of runs, and of walks with their drift."""
    gathered = Findings()
    networks: list[tuple[object, ...]] = []
    by_run: list[tuple[object, ...]] = []
    if not trajectories.lengths.any():
        gathered.lack("recurrence", "no run has a state")
    for name, own, numbers in networks_with_rows(trajectories):
        with gathered.part("recurrence", name):
            window, compared = _compared(name, own, numbers, settings, gathered)
            columns = (compared.thresholds, compared.within_noise, compared.walks_within_noise)
            by_run += [
                (run, name, *numbers, *measures)
                for run, *numbers, measures in zip(
                    compared.runs, *columns, compared.observed, strict=True
                )
            ]
            networks += _told(name, window, compared, settings.level, gathered)
    tables = [
        ResultTable.of_rows("recurrence", "measure of a network", _BY_NETWORK, networks),
        ResultTable.of_rows("runs", "run", _BY_RUN, by_run),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _compared(
    name: str,
    own: TrajectorySet,
    numbers: NDArray[np.int64],
    settings: RecurrenceSettings,
    gathered: Findings,
) -> tuple[int, _Compared]:
    """Return the window of a network's runs, and what their plots and those of walks say."""

    def look(
        states: NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Drift, np.random.Generator]:
        late = states[max(int(SETTLED * len(states)), len(states) - settings.most_states) :]
        if not np.isfinite(late).all():
            raise AnalysisError("states are not finite")
        return late, fit_drift(late), rng

    looked = dict(
        looked_at(
            gathered, "recurrence", name, own, numbers, look,
            most=settings.most_runs, seed=settings.seed, fewest=2 * FEWEST_STATES,
        )
    )  # fmt: skip
    if not looked:
        raise AnalysisError("no run has a drift that can be fitted")
    shortest = min(len(states) for states, _, _ in looked.values())
    window = theiler_window(np.array([drift.tau for _, drift, _ in looked.values()]), shortest)
    found = _Compared()
    for run, (states, drift, rng) in looked.items():
        found.runs.append(int(numbers[run]))
        found.prompts.append(str(own.labels.prompt[run]))
        _compare(states, drift, rng, window, settings, found)
    return window, found


def _compare(
    states: NDArray[np.float32],
    drift: Drift,
    rng: np.random.Generator,
    window: int,
    settings: RecurrenceSettings,
    found: _Compared,
) -> None:
    """Quantify a run within its noise, and beside walks at the same rate."""
    plot = RecurrencePlot.of(states, window)
    noise = noise_threshold(states, drift, settings.within)
    walks = [RecurrencePlot.of(drift.draw(rng), window) for _ in range(settings.surrogates)]
    found.within_noise.append(plot.rate_within(noise))
    found.walks_within_noise.append(float(np.mean([one.rate_within(noise) for one in walks])))
    rate = max(found.within_noise[-1], settings.least_rate)
    own, *others = (recurrence(one, one.threshold_at(rate)) for one in (plot, *walks))
    found.thresholds.append(noise)
    found.observed.append(astuple(own))
    found.drawn.append([astuple(one) for one in others])


def _told(
    name: str, window: int, compared: _Compared, level: float, gathered: Findings
) -> list[tuple[object, ...]]:
    observed, drawn = np.array(compared.observed), np.array(compared.drawn)
    rows: list[tuple[object, ...]] = []
    for place, measure in enumerate(COMPARED, start=1):
        one = against_null(observed[:, place], drawn[:, :, place], compared.prompts, level)
        value, of_drift = float(observed[:, place].mean()), float(drawn[:, :, place].mean())
        numbers = map(finite, (one.rank, one.low, one.high, one.p, one.above))
        rows.append((name, measure, value, of_drift, *numbers, window, one.n_runs, one.n_prompts))
        gathered.tests.append(
            HypothesisTest(
                "recurrence against drift", f"{name}: {measure}",
                "a run is like Gaussian walks of the same drift, alike in all dimensions",
                one.rank, one.p, one.n_prompts, "prompts", one.surrogates,
            )
        )  # fmt: skip
        if measure == LEADING:
            gathered.statements.append(_statement(name, compared, one, window, level))
    return rows


def _statement(
    name: str, compared: _Compared, one: AgainstNull, window: int, level: float
) -> Statement:
    own, walks = np.mean(compared.within_noise), np.mean(compared.walks_within_noise)
    return Statement(
        name,
        f"{own:.1%} of the pairs of a run's states that are {window} apart or more recur within "
        f"noise, {walks:.1%} of walks of the same drift; where runs come back they stay at rank "
        f"{one.rank:.2f}{between(one.low, one.high, level, '.2f')} among such walks "
        f"(0.5: like them; drift of another kind may have {0.5 - BEYOND:.2f} to {0.5 + BEYOND})",
        one.rank, one.low, one.high, level, "1", one.n_prompts, "prompts",
    )  # fmt: skip


PLUGINS = (
    Analysis(
        name="recurrence",
        question=QUESTIONS[1],
        asks="how often runs come back, and whether they then stay as long as drift makes them",
        function=analyse_recurrence,
        settings=RecurrenceSettings,
        order=52,
        answer=in_networks(
            "runs that come back stay longer, or shorter, than drift makes them (interval of the "
            f"rank above {0.5 + BEYOND} or below {0.5 - BEYOND:.2f})",
            lambda one: one.low > 0.5 + BEYOND or one.high < 0.5 - BEYOND,
            "ranks",
            ".2f",
        ),
        figures=(
            FigureSpec(
                name="ranks",
                table="recurrence",
                form="intervals",
                title="Where runs come back, beside walks of the same drift",
                caption="Mean rank of a run among its walks, interval over prompts; 0.5 (line): as "
                f"drift. Within {0.5 - BEYOND:.2f} and {0.5 + BEYOND} it may be drift of another "
                "kind.",
                x="network",
                y="rank",
                series="measure",
                low="low",
                high="high",
                reference=0.5,
            ),
        ),
    ),
)
