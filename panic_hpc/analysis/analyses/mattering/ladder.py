"""The swap ladder: how much farther apart runs are when one part of the system is another."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import greatest
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.variance.ladder import Rung, swap_ladder
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement, refused
from panic_hpc.analysis.samples import has_shared_seeds, time_grid
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet

_COLUMNS = (
    Quantity("centred_by", "label whose mean was taken out first, empty: none", ""),
    Quantity("differs", "what differs beside the run itself, empty: nothing (twins)", ""),
    Quantity("distance", "mean distance at matched states", "cosine distance"),
    Quantity("low", "lower bound of it", "cosine distance"),
    Quantity("high", "upper bound of it", "cosine distance"),
    Quantity("extra", "distance beyond that of twins", "cosine distance"),
    Quantity("extra_low", "lower bound of it", "cosine distance"),
    Quantity("extra_high", "upper bound of it", "cosine distance"),
    Quantity("pairs", "pairs of runs, summed over the states looked at", "pairs"),
)
_PARTS = ("generator", "captioner")
_AND = " and "


class LadderSettings(AnalysisSettings):
    """What the analysis can be told.

    most_states  of each run that are compared, evenly spaced
    """

    most_states: int = Field(default=20, ge=1)


def analyse_ladder(trajectories: TrajectorySet, settings: LadderSettings) -> AnalysisResult:
    """Compare runs that differ in exactly one thing with those that differ in nothing."""
    there = trajectories.select(trajectories.lengths > 0)
    if there.n_runs == 0:
        return refused("ladder", "no run has any state")
    gathered = Findings()
    grid = time_grid(int(there.lengths.max()), settings.most_states)
    states = there.at(grid)
    labels, noise = _labels(there.labels, gathered)
    rows: list[tuple[object, ...]] = []
    for centre in (None, "captioner" if "captioner" in labels else None):
        if centre is None and rows:
            continue
        with gathered.part(f"ladder{f', centred by {centre}' if centre else ''}"):
            rungs = swap_ladder(
                states, labels, noise=noise, centred_by=centre, level=settings.level
            )
            rows += [_row(centre or "", rung) for rung in rungs]
            if centre is None:
                _say(rungs, len(set(there.labels.prompt.tolist())), settings.level, gathered)
    table = ResultTable.of_rows("ladder", "rung", _COLUMNS, rows)
    return gathered.result([table], units_of(there.labels))


def _labels(labels: RunLabels, gathered: Findings) -> tuple[dict[str, NDArray[Any]], str | None]:
    """Return the labels that vary, and the name of that of shared noise."""
    chosen: dict[str, NDArray[Any]] = {"prompt": labels.prompt}
    for word in _PARTS:
        column = getattr(labels, word)
        if len(set(column.tolist())) > 1:
            chosen[word] = column
        else:
            gathered.lack(f"rung of {word}", f"there is one {word} only")
    if has_shared_seeds(labels):
        return {**chosen, "seed": labels.seed}, "seed"
    return chosen, None


def _row(centre: str, rung: Rung) -> tuple[object, ...]:
    return (
        centre, _AND.join(rung.differs), rung.distance, rung.low, rung.high,
        rung.extra, rung.extra_low, rung.extra_high, rung.pairs,
    )  # fmt: skip


def _say(rungs: list[Rung], n_prompts: int, level: float, gathered: Findings) -> None:
    twins = rungs[0]
    bounds = between(twins.low, twins.high, level)
    gathered.statements.append(
        Statement(
            "twins", f"Runs that differ in nothing are {twins.distance:z.3f} apart{bounds}",
            twins.distance, twins.low, twins.high, level, "cosine distance", n_prompts, "prompts",
        )
    )  # fmt: skip
    for rung in rungs[1:]:
        what = _AND.join(rung.differs)
        if rung.pairs == 0:
            gathered.lack(f"rung of {what}", "no two runs differ in that alone")
            continue
        bounds = between(rung.extra_low, rung.extra_high, level)
        gathered.statements.append(
            Statement(
                what, f"With another {what} runs are {rung.extra:z.3f} farther apart{bounds}",
                rung.extra, rung.extra_low, rung.extra_high, level, "cosine distance", n_prompts,
                "prompts",
            )
        )  # fmt: skip


def _answer(result: AnalysisResult) -> Statement | None:
    """Return which single part sets runs farthest apart."""
    told = result.statements
    single = [one for one in told if one.subject != "twins" and _AND not in one.subject]
    return greatest(replace(result, statements=single))


PLUGINS = (
    Analysis(
        name="ladder",
        question=QUESTIONS[3],
        asks="how much farther apart runs are when generator, captioner or prompt is another",
        function=analyse_ladder,
        settings=LadderSettings,
        order=300,
        answer=_answer,
        figures=(
            FigureSpec(
                name="rungs",
                table="ladder",
                form="intervals",
                title="How much farther apart when one thing differs",
                caption="Beyond runs that differ in their seed alone; 0 (line): no farther. "
                "Interval over prompts.",
                x="differs",
                y="extra",
                series="centred_by",
                low="extra_low",
                high="extra_high",
                reference=0.0,
            ),
        ),
    ),
)
