"""Convergence of strangers: whether runs of different prompts come nearer to each other."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.similarity.strangers import Convergence, convergence
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import (
    mean_directions,
    networks_of,
    spread_places,
    time_grid,
)
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of, unit_rows
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

_BY_STATE = (
    Quantity("network", "its models", ""),
    Quantity("state", "from 0", "states"),
    Quantity("strangers", "mean distance of runs of different prompts", "cosine distance"),
    Quantity("low", "lower bound of it", "cosine distance"),
    Quantity("high", "upper bound of it", "cosine distance"),
    Quantity("twins", "mean distance of runs of one prompt, nan: none has two", "cosine distance"),
)
_BY_NETWORK = (
    Quantity("network", "its models", ""),
    Quantity("prompts", "independent units", "prompts"),
    Quantity("change", "strangers' distance at the end less at the start", "cosine distance"),
    Quantity("low", "lower bound of it", "cosine distance"),
    Quantity("high", "upper bound of it", "cosine distance"),
    Quantity("relative", "the change as a share of the distance at the start"),
    Quantity("p", "of the null of no change"),
)
_PROMPTS = (
    Quantity("network", "its models", ""),
    Quantity("prompt", "a prompt", ""),
    Quantity("other", "another, or the same: its runs among each other", ""),
    Quantity("distance", "mean distance of the ends of their runs", "cosine distance"),
    Quantity("pairs", "pairs of runs", "pairs"),
)
_END = 0.9
"""From which share of a run on its states are its end."""


class ConvergenceSettings(AnalysisSettings):
    """What the analysis can be told.

    most_states   of each run that are looked at, evenly spaced
    most_prompts  whose ends are compared one by one, evenly spaced
    """

    most_states: int = Field(default=60, ge=2)
    most_prompts: int = Field(default=40, ge=2)


def analyse_convergence(
    trajectories: TrajectorySet, settings: ConvergenceSettings
) -> AnalysisResult:
    """Follow the distance of strangers over time, network by network."""
    gathered = Findings()
    curves: list[tuple[object, ...]] = []
    changes: list[tuple[object, ...]] = []
    apart: list[tuple[object, ...]] = []
    for name, own in networks_of(trajectories):
        with gathered.part("convergence", name):
            if np.ptp(own.lengths) > 0:
                gathered.lack(
                    "the same runs from start to end",
                    "runs differ in length: late states are of those that went on",
                    name,
                )
            grid = time_grid(int(own.lengths.max()), settings.most_states)
            course = convergence(own.at(grid), own.labels.prompt, settings.level)
            if not np.isfinite(course.relative):
                raise AnalysisError("strangers begin in one place: there is nothing to converge")
            columns = (course.strangers, course.low, course.high, course.twins)
            curves += zip([name] * len(grid), grid.tolist(), *(c.tolist() for c in columns),
                          strict=True)  # fmt: skip
            changes.append(
                (name, course.n_prompts, course.change, course.change_low, course.change_high,
                 course.relative, course.p)
            )  # fmt: skip
            _say(name, course, settings.level, gathered)
        apart += [(name, *row) for row in _apart(name, own, settings.most_prompts, gathered)]
    if not curves:
        gathered.lack("convergence", "no network has strangers to follow")
    tables = [
        ResultTable.of_rows("strangers", "state of a network", _BY_STATE, curves),
        ResultTable.of_rows("changes", "network", _BY_NETWORK, changes),
        ResultTable.of_rows("prompts_apart", "pair of prompts in a network", _PROMPTS, apart),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _apart(
    name: str, own: TrajectorySet, most: int, gathered: Findings
) -> Iterator[tuple[object, ...]]:
    """Yield (prompt, other, distance, pairs) of the ends of one network's runs.

    The mean distance of pairs of two groups is 1 less the product of the groups' mean directions;
    within a group the pairs of a run with itself are taken away.
    """
    ends = unit_rows(mean_directions(own, _END, 1.0))
    kept = np.flatnonzero(np.isfinite(ends).all(axis=1))
    codes, names = codes_of(own.labels.prompt[kept])
    shown = spread_places(len(names), most)
    if len(shown) < len(names):
        gathered.lack(
            "all pairs of prompts", f"{len(shown)} of {counted(len(names), 'prompt')}", name
        )
    sums = np.array([ends[kept[codes == code]].sum(axis=0, dtype=np.float64) for code in shown])
    counts = np.bincount(codes, minlength=len(names))[shown]
    for a, first in enumerate(shown.tolist()):
        for b, second in enumerate(shown.tolist()):
            pairs = int(counts[a] * (counts[b] - (a == b)))
            alike = float(sums[a] @ sums[b]) - (int(counts[a]) if a == b else 0)
            if pairs:
                distance = max(0.0, 1 - alike / pairs)
                yield names[first], names[second], distance, pairs // (1 + (a == b))


def _say(name: str, course: Convergence, level: float, gathered: Findings) -> None:
    bounds = between(course.change_low, course.change_high, level)
    gathered.statements.append(
        Statement(
            name,
            f"Runs of different prompts end {abs(course.relative):.0%} "
            f"{'nearer to' if course.change < 0 else 'farther from'} each other than they began: "
            f"{course.change:+z.3f}{bounds}",
            course.change, course.change_low, course.change_high, level, "cosine distance",
            course.n_prompts, "prompts",
        )
    )  # fmt: skip
    gathered.tests.append(
        HypothesisTest(
            "convergence of strangers", name,
            "runs of different prompts are as far apart at the end as at the start",
            course.change, course.p, course.n_prompts, "prompts",
        )
    )  # fmt: skip


PLUGINS = (
    Analysis(
        name="convergence",
        question=QUESTIONS[2],
        asks="whether runs of different prompts come nearer to each other over time",
        function=analyse_convergence,
        settings=ConvergenceSettings,
        order=220,
        answer=in_networks(
            "runs of different prompts come nearer to each other (interval below 0)",
            lambda one: one.high < 0,
            "changes of distance",
            "+.3f",
        ),
        figures=(
            FigureSpec(
                name="strangers",
                table="strangers",
                form="lines",
                title="How far runs of different prompts are apart",
                caption="Mean over pairs, interval over prompts.",
                x="state",
                y="strangers",
                series="network",
                low="low",
                high="high",
            ),
            FigureSpec(
                name="changes",
                table="changes",
                form="intervals",
                title="Whether they come nearer",
                caption="From the first to the last states; 0 (line): they do not.",
                x="network",
                y="change",
                reference=0.0,
                low="low",
                high="high",
            ),
            FigureSpec(
                name="prompts_apart",
                table="prompts_apart",
                form="heatmap",
                title="How far the ends of prompts' runs are apart",
                caption="Mean distance of the last tenth of runs of two prompts; on the diagonal "
                "runs of one prompt, twins: what is as dark as that is one place.",
                x="other",
                y="prompt",
                value="distance",
                panels="network",
            ),
        ),
    ),
)
