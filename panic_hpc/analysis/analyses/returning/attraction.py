"""Attractor strength and position of scalar properties of the text (Perez et al., 2407.04503)."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.similarity.attraction import Attraction, attraction
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
    refused,
)
from panic_hpc.analysis.samples import networks_of, share_of
from panic_hpc.analysis.trajectory_set import TrajectorySet
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import words_of

_COLUMNS = (
    Quantity("network", "its models", ""),
    Quantity("property", "of a text", ""),
    Quantity("unit", "of the property", ""),
    Quantity("strength", "1 - slope of final on initial: 0 kept, 1 forgotten"),
    Quantity("low", "lower bound of it"),
    Quantity("high", "upper bound of it"),
    Quantity("position", "where values are pulled to", "unit of the property"),
    Quantity("position_low", "lower bound of it (Fieller); -inf: none", "unit of the property"),
    Quantity("position_high", "upper bound of it; inf: none", "unit of the property"),
    Quantity("no_pull_p", "of the null that the initial value is kept"),
    Quantity("forgotten_p", "of the null that the initial value is forgotten"),
    Quantity("prompts", "independent units", "prompts"),
)


def _letters(text: str) -> float:
    found = words_of(text)
    return sum(map(len, found)) / len(found) if found else float("nan")


def _distinct(text: str) -> float:
    found = words_of(text)
    return len(set(found)) / len(found) if found else float("nan")


PROPERTIES: dict[str, tuple[str, Callable[[str], float]]] = {
    "length": ("words", lambda text: float(len(words_of(text)))),
    "word length": ("letters", _letters),
    "distinct words": ("share of words", _distinct),
}
"""By name: (unit, function of a text, nan where the text has no such thing)."""


def analyse_attraction(trajectories: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Fit final against initial values of each property, network by network."""
    if trajectories.texts is None or not trajectories.lengths.any():
        return refused("attraction", "there are no texts")
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    for name, own in networks_of(trajectories):
        finals = _finals(own)
        for place, (word, (unit, function)) in enumerate(PROPERTIES.items()):
            with gathered.part(word, name):
                initial = [function(text) for text in own.labels.prompt.tolist()]
                final = finals[:, place]
                if len(set(final[np.isfinite(final)].tolist())) < 2:
                    raise AnalysisError(f"all texts end with one {word}: nothing to fit")
                pull = attraction(initial, final, own.labels.prompt, settings.level)
                rows.append(_row(name, word, unit, pull))
                _say(name, word, unit, pull, settings.level, gathered)
    if not rows:
        gathered.lack("attraction", "in no network can a line be fitted")
    table = ResultTable.of_rows("attraction", "property in a network", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _finals(own: TrajectorySet) -> NDArray[np.float64]:
    """Return (runs, properties) means over the last tenth of each run's texts."""
    found = np.full((own.n_runs, len(PROPERTIES)), np.nan)
    for run in range(own.n_runs):
        texts: Sequence[str] = own.texts(run) if own.texts else ()
        if not texts:
            continue
        late = texts[slice(*share_of(len(texts), 0.9, 1.0))]
        for place, (_, function) in enumerate(PROPERTIES.values()):
            values = [value for value in map(function, late) if np.isfinite(value)]
            if values:
                found[run, place] = np.mean(values)
    return found


def _row(name: str, word: str, unit: str, pull: Attraction) -> tuple[object, ...]:
    return (
        name, word, unit, pull.strength, pull.strength_low, pull.strength_high, pull.position,
        pull.position_low, pull.position_high, pull.no_pull_p, pull.forgotten_p, pull.n_prompts,
    )  # fmt: skip


def _say(
    name: str, word: str, unit: str, pull: Attraction, level: float, gathered: Findings
) -> None:
    bounds = between(pull.strength_low, pull.strength_high, level, ".2f")
    to = f", towards {pull.position:.3g} {unit}" if np.isfinite(pull.position_low) else ""
    gathered.statements.append(
        Statement(
            name, f"{word.capitalize()} is pulled with strength {pull.strength:z.2f}{bounds}{to}",
            pull.strength, pull.strength_low, pull.strength_high, level, "1", pull.n_prompts,
            "prompts",
        )
    )  # fmt: skip
    for family, null, p, statistic in (
        ("attraction: kept", "the initial value is kept", pull.no_pull_p, pull.strength),
        ("attraction: forgotten", "it is forgotten", pull.forgotten_p, 1 - pull.strength),
    ):
        gathered.tests.append(
            HypothesisTest(family, f"{name}: {word}", null, statistic, p, pull.n_prompts, "prompts")
        )


PLUGINS = (
    Analysis(
        name="attraction",
        question=QUESTIONS[2],
        asks="how strongly length and wording of texts are pulled, and to which value",
        function=analyse_attraction,
        per_model=False,
        order=230,
        answer=in_networks(
            "the length of texts is pulled (interval of the strength above 0)",
            lambda one: one.low > 0,
            "strengths",
            ".2f",
            begins="Length",
        ),
        figures=(
            FigureSpec(
                name="strength",
                table="attraction",
                form="intervals",
                title="How strongly texts are pulled",
                caption="0: the initial value is kept (line), 1: it is forgotten; intervals over"
                " prompts.",
                x="network",
                y="strength",
                series="property",
                reference=0.0,
                low="low",
                high="high",
            ),
        ),
    ),
)
