"""Jumps and dwells: does a run move on suddenly, and how long does it stay before it does?"""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from pydantic import Field

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS, share_interval
from panic_hpc.analysis.estimators.dynamics.changes import change_points
from panic_hpc.analysis.estimators.survival.kaplan_meier import Survival, kaplan_meier
from panic_hpc.analysis.estimators.unit_means import unit_means
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, looked_at, too_few, units_of
from panic_hpc.analysis.hazards import Endings, hazards
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

_BY_NETWORK = (
    Quantity("network", "its models", ""),
    Quantity("prompts", "independent units", "prompts"),
    Quantity("runs", "runs that were looked at", "runs"),
    Quantity("jumped", "share of runs with a jump", "1"),
    Quantity("jumped_low", "lower bound of it, over prompts", "1"),
    Quantity("jumped_high", "upper bound of it, over prompts", "1"),
    Quantity("dwells", "stretches between jumps, first and last included", "dwells"),
    Quantity("left", "dwells that a jump ended; the others are censored", "dwells"),
    Quantity("median", "dwell that half outlast (Kaplan-Meier), inf: more than half never left",
             "states"),
    Quantity("median_low", "lower bound of it, over prompts", "states"),
    Quantity("median_high", "upper bound of it, over prompts", "states"),
    Quantity("p", "of the null that runs jump no more often than their drift does by chance"),
)  # fmt: skip
_STAYING = (
    Quantity("network", "its models", ""),
    Quantity("states", "length of a dwell", "states"),
    Quantity("staying", "share of dwells that last longer", "1"),
    Quantity("low", "lower bound of it, over prompts", "1"),
    Quantity("high", "upper bound of it, over prompts", "1"),
)
_BY_RUN = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its models", ""),
    Quantity("states", "its length", "states"),
    Quantity("jumps", "its jumps", "jumps"),
    Quantity("first", "state of the first, null: none", "states"),
    Quantity("largest", "largest distance between means of `width` states before and after",
             "cosine distance"),
    Quantity("threshold", "what such a distance must exceed to be a jump", "cosine distance"),
)  # fmt: skip


class JumpsSettings(AnalysisSettings):
    """What the analysis can be told.

    width      states before and after whose means are compared
    surrogates of each run, which drift as it does
    rate       share of runs without a jump that are allowed to seem to have one
    most_runs  of a network that are looked at, evenly spaced
    """

    width: int = Field(default=5, ge=2)
    surrogates: int = Field(default=39, ge=19)
    rate: float = Field(default=0.05, gt=0, lt=0.5)
    most_runs: int = Field(default=80, ge=1)


@dataclass
class _Watched:
    """Dwells of a network's runs with their prompts, and of each run whether it jumped."""

    durations: list[int] = field(default_factory=list)
    has_left: list[bool] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    jumped: list[bool] = field(default_factory=list)
    run_prompts: list[str] = field(default_factory=list)


def analyse_jumps(trajectories: TrajectorySet, settings: JumpsSettings) -> AnalysisResult:
    """Find jumps of runs against surrogates, and how long runs stay between them."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    networks: list[tuple[object, ...]] = []
    every: list[_Watched] = []
    curves: list[tuple[object, ...]] = []
    if not trajectories.lengths.any():
        gathered.lack("jumps", "no run has a state")
    for name, own, numbers in networks_with_rows(trajectories):
        watched = _watch(name, own, numbers, settings, gathered, rows)
        every.append(watched)
        with gathered.part("jumps", name):
            if not watched.jumped:
                raise AnalysisError(
                    f"no run has {4 * settings.width} finite states, four times the width"
                )
            staying = kaplan_meier(
                watched.durations, watched.has_left, watched.prompts,
                level=settings.level, draws=settings.draws, seed=settings.seed,
            )  # fmt: skip
            networks.append(_told(name, watched, staying, settings, gathered))
            curves += [(name, *step) for step in staying.steps()]
    dwells = [
        row for one in every for row in zip(one.runs, one.durations, one.has_left, strict=True)
    ]
    decided = (
        [hazards(trajectories, Endings.of(dwells, "leave"), settings, gathered)] if dwells else []
    )
    tables = [
        *decided,
        ResultTable.of_rows("leaving", "network", _BY_NETWORK, networks),
        ResultTable.of_rows("staying", "network and length of a dwell", _STAYING, curves),
        ResultTable.of_rows("jumps", "run", _BY_RUN, rows),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _watch(
    name: str,
    own: TrajectorySet,
    numbers: np.ndarray,
    settings: JumpsSettings,
    gathered: Findings,
    rows: list[tuple[object, ...]],
) -> _Watched:
    watched = _Watched()
    look = partial(
        change_points, width=settings.width, draws=settings.surrogates, alpha=settings.rate
    )
    for run, changes in looked_at(
        gathered, "jumps", name, own, numbers, look,
        most=settings.most_runs, seed=settings.seed, fewest=4 * settings.width,
    ):  # fmt: skip
        n_states, prompt = int(own.lengths[run]), str(own.labels.prompt[run])
        dwells = changes.dwells(n_states)
        watched.durations += [states for states, _ in dwells]
        watched.has_left += [was_left for _, was_left in dwells]
        watched.runs += [int(numbers[run])] * len(dwells)
        watched.prompts += [prompt] * len(dwells)
        watched.jumped.append(bool(changes.places))
        watched.run_prompts.append(prompt)
        first = changes.places[0] if changes.places else None
        rows.append((int(numbers[run]), name, n_states, len(changes.places), first,
                     changes.largest, changes.threshold))  # fmt: skip
    return watched


def _told(
    name: str, watched: _Watched, staying: Survival, settings: JumpsSettings, gathered: Findings
) -> tuple[object, ...]:
    prompts = watched.run_prompts
    share, low, high = share_interval(watched.jumped, prompts, settings)
    if staying.n_units < FEWEST_UNITS:
        gathered.lack("intervals of jumps", too_few(staying.n_units), name)
    median = (
        f"half of the dwells outlast {staying.median:.0f} states"
        if math.isfinite(staying.median)
        else "more than half of the dwells last until watching stops"
    )
    sentence = f"{share:.0%} of runs jump{between(low, high, settings.level, '.0%')}; {median}"
    gathered.statements.append(
        Statement(name, sentence, share, low, high, settings.level, "1", staying.n_units, "prompts")
    )
    p = more_often_than(watched.jumped, prompts, settings.rate)
    if math.isfinite(p):
        null = "runs jump no more often than their drift does by chance"
        gathered.tests.append(
            HypothesisTest("jumps", name, null, share, p, staying.n_units, "prompts")
        )
    return (name, staying.n_units, len(watched.jumped), share, low, high, staying.n,
            staying.events, staying.median, staying.median_low, staying.median_high, p)  # fmt: skip


def more_often_than(is_so: list[bool], prompts: list[str], rate: float) -> float:
    """Return p that the mean share over prompts is at most `rate`; nan of too few prompts."""
    means = unit_means(is_so, prompts)
    return means.p_above(rate, alike=rate) if means.n >= FEWEST_UNITS else float("nan")


PLUGINS = (
    Analysis(
        name="jumps",
        question=QUESTIONS[1],
        asks="whether runs move on suddenly, and how long they stay before they do",
        function=analyse_jumps,
        settings=JumpsSettings,
        order=50,
        answer=in_networks(
            "more runs jump than drift explains (interval above 5%)",
            lambda one: one.low > 0.05,
            "shares of runs",
            ".0%",
        ),
        figures=(
            FigureSpec(
                name="staying",
                table="staying",
                form="steps",
                title="How long runs stay before they jump",
                caption="Share of dwells that last longer (Kaplan-Meier; dwells that go on when "
                "watching stops are censored), interval over prompts.",
                x="states",
                y="staying",
                series="network",
                low="low",
                high="high",
            ),
        ),
    ),
)
