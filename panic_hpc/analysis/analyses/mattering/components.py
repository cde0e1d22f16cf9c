"""Crossed random effects: what share of the differences between runs each part makes."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.answering import about
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.variance.components import (
    RESIDUAL,
    Component,
    Components,
    variance_components,
)
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.run_numbers import QUANTITIES, run_numbers
from panic_hpc.analysis.samples import mean_directions, share_of
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.plain_text import words_of
from panic_hpc.types import DIAGRAMS

TERMS = ("generator", "captioner", "generator:captioner", "prompt", "prompt:network", "seed")
PLACE = "place"
_COLUMNS = (
    Quantity("outcome", "number of a run that is dealt out", ""),
    Quantity("unit", "of the outcome", ""),
    Quantity("term", "part of the system, or the residual of the run", ""),
    Quantity("levels", "levels that it has here", "levels"),
    Quantity("variance", "its component", "square of the outcome's unit"),
    Quantity("low", "lower bound of it, null: not asked for", "square of the outcome's unit"),
    Quantity("high", "upper bound of it", "square of the outcome's unit"),
    Quantity("omega2", "its share of the sum of all components; negative: no sign of it"),
    Quantity("omega2_low", "lower bound of it"),
    Quantity("omega2_high", "upper bound of it"),
    Quantity("p", "of the null that the component is 0"),
    Quantity("runs", "runs that have the outcome", "runs"),
)


class ComponentSettings(AnalysisSettings):
    """What the analysis can be told; `draws` are of the estimator's distribution."""


def analyse_components(trajectories: TrajectorySet, settings: ComponentSettings) -> AnalysisResult:
    """Deal the variance of numbers of runs, and of their places, out to crossed effects."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    for name, unit, values in _outcomes(trajectories):
        with gathered.part(name):
            dealt = variance_components(
                values, _labels(trajectories.labels), TERMS, level=settings.level,
                draws=settings.draws, seed=settings.seed,
            )  # fmt: skip
            rows += [_row(name, unit, one, dealt.n_runs) for one in dealt.rows]
            for term, why in dealt.unresolved.items():
                gathered.lack(f"part of {term}", why, name)
            _say(name, dealt, settings.level, gathered)
    table = ResultTable.of_rows("components", "term of an outcome", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _outcomes(trajectories: TrajectorySet) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Yield (name, unit, a number a run, or a vector) of what is dealt out."""
    numbers = run_numbers(trajectories)
    for one in QUANTITIES:
        yield one.name, one.unit, numbers[one.name]
    yield PLACE, "cosine distance", mean_directions(trajectories, 0.5, 1.0)
    if trajectories.texts is not None:
        lengths = [_words(trajectories.texts(run)) for run in range(trajectories.n_runs)]
        yield "words", "words", np.array(lengths)
    if trajectories.dataset is not None and trajectories.model in trajectories.dataset.models_of(
        DIAGRAMS
    ):
        entropies = np.array(
            [
                trajectories.dataset.entropy(run, trajectories.model)
                for run in range(trajectories.n_runs)
            ]
        )
        for dimension, column in enumerate(entropies.T):
            yield f"entropy_H{dimension}", "nat", column


def _words(texts: Sequence[str]) -> float:
    """Return the mean number of words of the last tenth of a run's texts, nan of none."""
    late = texts[slice(*share_of(len(texts), 0.9, 1.0))] if len(texts) else ()
    return float(np.mean([len(words_of(text)) for text in late])) if late else float("nan")


def _labels(labels: RunLabels) -> dict[str, NDArray[np.generic]]:
    names = ("generator", "captioner", "prompt", "network", "seed")
    return {name: getattr(labels, name) for name in names}


def _row(name: str, unit: str, one: Component, n_runs: int) -> tuple[object, ...]:
    numbers = (one.variance, one.low, one.high, one.omega2, one.omega2_low, one.omega2_high, one.p)
    return (name, unit, one.term, one.n_levels, *map(finite, numbers), n_runs)


def _say(name: str, dealt: Components, level: float, gathered: Findings) -> None:
    for one in dealt.rows:
        if one.term == RESIDUAL:
            continue
        if np.isfinite(one.p):
            gathered.tests.append(
                HypothesisTest(
                    f"components of {name}", one.term, "the component is 0 (normal effects)",
                    one.variance, one.p, one.n_levels, f"levels of {one.term}", dealt.draws,
                )
            )  # fmt: skip
    said = sorted((one for one in dealt.rows if one.term != RESIDUAL), key=_share, reverse=True)
    if not said or not np.isfinite(said[0].omega2):
        gathered.lack(f"shares of {name}", "all runs have the same value")
        return
    top = said[0]
    gathered.statements.append(
        Statement(
            name, f"Of {_title(name)} the {top.term} makes {_percent(top, level)}"
            f"{_others(said[1:], level)}", top.omega2, top.omega2_low, top.omega2_high, level, "1",
            top.n_levels, f"levels of {top.term}",
        )
    )  # fmt: skip


def _title(name: str) -> str:
    return "where runs lie" if name == PLACE else f"the variance of {name}"


def _share(one: Component) -> float:
    return one.omega2 if np.isfinite(one.omega2) else -np.inf


def _others(rest: Sequence[Component], level: float) -> str:
    named = [f"{one.term} {_percent(one, level)}" for one in rest]
    return f", {', '.join(named)}" if named else ""


def _percent(one: Component, level: float) -> str:
    # An unbiased estimate of nothing is below 0 as often as above, where no interval of shares is.
    if one.omega2 < 0:
        most = f", at most {one.omega2_high:z.0%}" if np.isfinite(one.omega2_high) else ""
        return f"none that is seen{most}"
    return f"{one.omega2:z.0%}{between(one.omega2_low, one.omega2_high, level, '.0%')}"


PLUGINS = (
    Analysis(
        name="components",
        question=QUESTIONS[3],
        asks="what share of the differences between runs each part of the system makes",
        function=analyse_components,
        settings=ComponentSettings,
        order=310,
        answer=about("drift", "place"),
        figures=(
            FigureSpec(
                name="shares",
                table="components",
                form="intervals",
                title="What the differences between runs are made of",
                caption="Share of the variance (omega squared) of each outcome; 0 (line): it "
                "makes no difference. A factor of few levels has a wide interval.",
                x="term",
                y="omega2",
                panels="outcome",
                low="omega2_low",
                high="omega2_high",
                reference=0.0,
            ),
        ),
    ),
)
