"""Settling: when runs stop moving, how many never do, and whether their prompt tells which."""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import overall
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import share_interval
from panic_hpc.analysis.estimators.dynamics.settling import HOLD, settling
from panic_hpc.analysis.estimators.principal_axes import principal_axes
from panic_hpc.analysis.estimators.shape.added import added_skill
from panic_hpc.analysis.estimators.survival.kaplan_meier import Survival, kaplan_meier
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, looked_at, units_of
from panic_hpc.analysis.hazards import Endings, hazards
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.samples import networks_with_rows
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of, unit_rows
from panic_hpc.errors import AnalysisError

_BY_NETWORK = (
    Quantity("network", "its models", ""),
    Quantity("prompts", "independent units", "prompts"),
    Quantity("runs", "runs that were looked at", "runs"),
    Quantity("settled", "share of runs that settled while they were watched"),
    Quantity("settled_low", "lower bound of it, over prompts"),
    Quantity("settled_high", "upper bound of it"),
    Quantity("leave", "share of these that moved again; null: none settled"),
    Quantity("median", "states by which half have settled (Kaplan-Meier), inf: fewer than half do",
             "states"),
    Quantity("median_low", "lower bound of it, over prompts", "states"),
    Quantity("median_high", "upper bound of it", "states"),
)  # fmt: skip
_MOVING = (
    Quantity("network", "its models", ""),
    Quantity("states", "states of a run", "states"),
    Quantity("moving", "share of runs not settled yet"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
)
_BY_RUN = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its models", ""),
    Quantity("states", "before it settled, else those in which it was not seen to", "states"),
    Quantity("has_settled", "whether it settled; else it is censored", ""),
    Quantity("leaves", "whether it moved again", ""),
)
_FORETOLD = (
    Quantity("network_alone", "held-out R² of whether a run settles, from its network"),
    Quantity("with_prompt", "the same from its embedded prompt too; below 0: worse than the mean"),
    Quantity("gain", "what the prompt adds; negative: it costs"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("prompts", "independent units, held out as wholes", "prompts"),
    Quantity("runs", "runs", "runs"),
)
_COMPONENTS = 8


class SettlingSettings(AnalysisSettings):
    """What the analysis can be told.

    width      states whose mean is compared with that of the next as many
    most_runs  of a network that are looked at, evenly spaced
    """

    width: int = Field(default=10, ge=4)
    most_runs: int = Field(default=200, ge=1)


@dataclass
class _Seen:
    """Of each run that was watched: its row in the set, states, whether it settled, and left."""

    runs: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    settled: list[bool] = field(default_factory=list)
    leaves: list[bool] = field(default_factory=list)


def analyse_settling(trajectories: TrajectorySet, settings: SettlingSettings) -> AnalysisResult:
    """Find when each run settles, how long networks take, and what prompts tell of it."""
    gathered, every = Findings(), _Seen()
    networks: list[tuple[object, ...]] = []
    curves: list[tuple[object, ...]] = []
    for name, own, numbers in networks_with_rows(trajectories):
        with gathered.part("settling", name):
            seen = _watch(name, own, numbers, settings, gathered)
            prompts = trajectories.labels.prompt[seen.runs].tolist()
            course = kaplan_meier(seen.states, seen.settled, prompts, level=settings.level,
                                  draws=settings.draws, seed=settings.seed)  # fmt: skip
            networks.append(_told(name, seen, prompts, course, settings, gathered))
            curves += [(name, *step) for step in course.steps()]
            for column in ("runs", "states", "settled", "leaves"):
                getattr(every, column).extend(getattr(seen, column))
    foretold: list[tuple[object, ...]] = []
    decided: list[ResultTable] = []
    if every.runs:
        _sum_up(trajectories, every, settings, gathered)
        with gathered.part("which runs settle"):
            foretold.append(_foretold(trajectories, every, settings, gathered))
        ends = zip(every.runs, every.states, every.settled, strict=True)
        decided.append(hazards(trajectories, Endings.of(ends, "settle"), settings, gathered))
    else:
        gathered.lack("settling", "no run is long enough to be seen to settle")
    networks_of_runs = trajectories.labels.network[every.runs].tolist()
    rows = zip(every.runs, networks_of_runs, every.states, every.settled, every.leaves, strict=True)
    tables = [
        ResultTable.of_rows("settling", "network", _BY_NETWORK, networks),
        ResultTable.of_rows("moving", "network and number of states", _MOVING, curves),
        ResultTable.of_rows("foretold", "outcome", _FORETOLD, foretold),
        *decided,
        ResultTable.of_rows("runs", "run", _BY_RUN, rows if every.runs else ()),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _watch(
    name: str,
    own: TrajectorySet,
    numbers: NDArray[np.int64],
    settings: SettlingSettings,
    gathered: Findings,
) -> _Seen:
    seen, fewest = _Seen(), settings.width * (HOLD + 1)
    for run, one in looked_at(
        gathered, "settling", name, own, numbers,
        partial(settling, width=settings.width),
        most=settings.most_runs, seed=settings.seed, fewest=fewest,
    ):  # fmt: skip
        seen.runs.append(int(numbers[run]))
        seen.states.append(one.states)
        seen.settled.append(one.has_settled)
        seen.leaves.append(one.leaves)
    if not seen.runs:
        raise AnalysisError(f"no run has {fewest} finite states")
    return seen


def _told(
    name: str,
    seen: _Seen,
    prompts: list[str],
    course: Survival,
    settings: SettlingSettings,
    gathered: Findings,
) -> tuple[object, ...]:
    share, low, high = share_interval(seen.settled, prompts, settings)
    left = sum(seen.leaves) / sum(seen.settled) if any(seen.settled) else None
    median = (
        f"half have by state {course.median:.0f}"
        if math.isfinite(course.median)
        else "fewer than half while they were watched, which is not never"
    )
    again = "" if left is None else f"; {left:.0%} of these moved again"
    gathered.statements.append(
        Statement(
            name,
            f"{share:.0%} of runs settle{between(low, high, settings.level, '.0%')}, {median}"
            f"{again}",
            share, low, high, settings.level, "1", course.n_units, "prompts",
        )
    )  # fmt: skip
    return (name, course.n_units, len(seen.runs), share, finite(low), finite(high), left,
            course.median, course.median_low, course.median_high)  # fmt: skip


def _sum_up(
    trajectories: TrajectorySet, every: _Seen, settings: SettlingSettings, gathered: Findings
) -> None:
    prompts = trajectories.labels.prompt[every.runs].tolist()
    share, low, high = share_interval(every.settled, prompts, settings)
    gathered.statements.append(
        Statement(
            "",
            f"{share:.0%} of runs settle within noise{between(low, high, settings.level, '.0%')} "
            "while they are watched; of the others nobody knows whether they ever will",
            share, low, high, settings.level, "1", len(set(prompts)), "prompts",
        )
    )  # fmt: skip


def _foretold(
    trajectories: TrajectorySet, every: _Seen, settings: SettlingSettings, gathered: Findings
) -> tuple[object, ...]:
    """Predict which runs settle, whole prompts held out: from networks, and from prompts too."""
    if trajectories.prompts is None:
        raise AnalysisError("prompts were not embedded by this model")
    labels = trajectories.labels.select(np.array(every.runs))
    codes, names = codes_of(labels.network)
    asked = _coordinates(unit_rows(trajectories.prompts[every.runs]))
    skill = added_skill(
        np.array(every.settled, float), np.eye(len(names))[codes], asked, labels.prompt,
        level=settings.level, seed=settings.seed,
    )  # fmt: skip
    adds = "adds" if skill.gain > 0 else "costs"
    gathered.statements.append(
        Statement(
            "which runs settle",
            f"Which runs settle is told by networks with R² {skill.base:z.2f}; their prompt {adds} "
            f"{skill.gain:+z.2f}{between(skill.low, skill.high, settings.level, '.2f')}, whole "
            "prompts held out",
            skill.gain, skill.low, skill.high, settings.level, "R²", skill.n_prompts, "prompts",
        )
    )  # fmt: skip
    return (skill.base, skill.both, skill.gain, skill.low, skill.high, skill.n_prompts,
            skill.n_runs)  # fmt: skip


def _coordinates(prompts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (runs, few) coordinates of prompts along axes in which they vary, nan where unknown.

    Of all prompts: axes know nothing of what is predicted.
    """
    known = np.isfinite(prompts).all(axis=1)
    if not known.any():
        raise AnalysisError("prompts were not embedded by this model")
    return principal_axes(np.unique(prompts[known], axis=0), _COMPONENTS, 1e-10).of(
        prompts.astype(np.float64)
    )


PLUGINS = (
    Analysis(
        name="settling",
        question=QUESTIONS[1],
        asks="when runs stop moving but for noise, how many do not, and whether prompts tell which",
        function=analyse_settling,
        settings=SettlingSettings,
        order=45,
        answer=overall,
        figures=(
            FigureSpec(
                name="moving",
                table="moving",
                form="steps",
                title="How many runs have not settled yet",
                caption="Kaplan-Meier; runs that were watched to their end are censored there. "
                "Intervals by drawing prompts anew.",
                x="states",
                y="moving",
                series="network",
                low="low",
                high="high",
            ),
        ),
    ),
)
