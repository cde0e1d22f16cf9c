"""Captions: how long, how often cut off, how varied, and what is left of the prompt's words."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.base import Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import mean_interval
from panic_hpc.analysis.estimators.texts.words import WordsLeft, variety, words_left
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    Quantity,
    ResultTable,
    Statement,
    refused,
)
from panic_hpc.analysis.samples import networks_of, time_grid
from panic_hpc.analysis.trajectory_set import TrajectorySet
from panic_hpc.plain_text import words_of
from panic_hpc.store.format.column import MODALITIES
from panic_hpc.store.results.runs import INPUT_TRUNCATED, OUTPUT_EMPTY, OUTPUT_TRUNCATED

_NETWORKS = (
    Quantity("network", "its models", ""),
    Quantity("texts", "texts looked at", "texts"),
    Quantity("words", "mean length of a text", "words"),
    Quantity("low", "lower bound of it, over prompts; null: too few", "words"),
    Quantity("high", "upper bound of it", "words"),
    Quantity("variety", "distinct words in windows of 50; null: too few words"),
    Quantity("vocabulary", "distinct words in these texts", "words"),
)
_STATES = (
    Quantity("network", "its models", ""),
    Quantity("state", "from 0", "states"),
    Quantity("words", "mean length of a text", "words"),
)
_LEFT = (
    Quantity("state", "from 0", "states"),
    Quantity("own", "share of the prompt's words in the texts of its runs"),
    Quantity("strangers", "share of them in texts of runs of other prompts: chance"),
    Quantity("extra", "the difference, mean over prompts"),
    Quantity("low", "lower bound of it; null: too few prompts"),
    Quantity("high", "upper bound of it"),
)
_FLAGS = (
    Quantity("network", "its models", ""),
    Quantity("modality", "what was put out", ""),
    Quantity("outputs", "model calls", "outputs"),
    Quantity("input_truncated", "share whose input was cut off"),
    Quantity("output_truncated", "share whose output was cut off"),
    Quantity("output_empty", "share whose output is empty"),
    Quantity("output_tokens", "mean tokens written; null: not counted", "tokens"),
)


class CaptionSettings(AnalysisSettings):
    """What the analysis can be told.

    most_states  texts of each run that are looked at, evenly spaced
    """

    most_states: int = Field(default=60, ge=1)


def analyse_captions(trajectories: TrajectorySet, settings: CaptionSettings) -> AnalysisResult:
    """Count words of texts, network by network, and what models cut off."""
    if trajectories.texts is None or not trajectories.lengths.any():
        return refused("captions", "there are no texts")
    gathered = Findings()
    grid = time_grid(int(trajectories.lengths.max()), settings.most_states)
    texts = [_texts_at(trajectories, run, grid) for run in range(trajectories.n_runs)]
    networks, states = _lengths(trajectories, texts, grid, settings, gathered)
    left: list[tuple[object, ...]] = []
    with gathered.part("what is left of the prompt's words"):
        kept = words_left(texts, trajectories.labels.prompt.tolist())
        left = _left(kept, grid, settings, gathered)
    tables = [
        ResultTable.of_rows("captions", "network", _NETWORKS, networks),
        ResultTable.of_rows("lengths", "state of a network", _STATES, states),
        ResultTable.of_rows("words_left", "state", _LEFT, left),
        ResultTable.of_rows(
            "flags", "modality of a network", _FLAGS, _flags(trajectories, gathered)
        ),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _texts_at(trajectories: TrajectorySet, run: int, grid: NDArray[np.int64]) -> list[str]:
    texts = trajectories.texts(run) if trajectories.texts else ()
    return [texts[state] for state in grid.tolist() if state < len(texts)]


def _lengths(
    trajectories: TrajectorySet,
    texts: list[list[str]],
    grid: NDArray[np.int64],
    settings: CaptionSettings,
    gathered: Findings,
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    networks: list[tuple[object, ...]] = []
    states: list[tuple[object, ...]] = []
    for name, own in networks_of(trajectories):
        runs = np.flatnonzero(
            (trajectories.labels.network == name) & (trajectories.lengths > 0)
        ).tolist()
        said = [text for run in runs for text in texts[run]]
        if not said:
            gathered.lack("lengths", "runs have no texts", name)
            continue
        counts = np.full((len(runs), len(grid)), np.nan)
        for place, run in enumerate(runs):
            counts[place, : len(texts[run])] = [len(words_of(text)) for text in texts[run]]
        there = np.isfinite(counts)
        means = np.where(there, counts, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        prompts = own.labels.prompt.tolist()
        mean, low, high = mean_interval(means, prompts, settings)
        various = variety(said)
        vocabulary = len({word for text in said for word in words_of(text)})
        networks.append((name, len(said), mean, finite(low), finite(high), finite(various),
                         vocabulary))  # fmt: skip
        by_state = np.where(there, counts, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        states += [
            (name, state, float(value))
            for state, value, is_any in zip(grid.tolist(), by_state, there.any(axis=0), strict=True)
            if is_any
        ]
        gathered.statements.append(
            Statement(
                name, f"Texts have {mean:.1f} words{between(low, high, settings.level, '.1f')}",
                mean, low, high, settings.level, "words", len(set(prompts)), "prompts",
            )
        )  # fmt: skip
    return networks, states


def _left(
    kept: WordsLeft, grid: NDArray[np.int64], settings: CaptionSettings, gathered: Findings
) -> list[tuple[object, ...]]:
    units = list(range(len(kept.extra)))
    rows: list[tuple[object, ...]] = []
    said: Statement | None = None
    for place, state in enumerate(grid.tolist()[: kept.extra.shape[1]]):
        extra, low, high = mean_interval(kept.extra[:, place], units, settings)
        if not np.isfinite(extra):
            continue
        own, strangers = float(kept.own[place]), float(kept.strangers[place])
        rows.append((state, own, strangers, extra, finite(low), finite(high)))
        said = Statement(
            "", f"The texts of state {state} have {own:.1%} of their prompt's words, and "
            f"{strangers:.1%} of those of other prompts: {extra:+z.1%}"
            f"{between(low, high, settings.level, '.1%')}", extra, low, high, settings.level, "1",
            len(units), "prompts",
        )  # fmt: skip
    if said is None:
        gathered.lack("what is left of the prompt's words", "no state has texts of two prompts")
    else:
        gathered.statements.append(said)
    return rows


def _flags(trajectories: TrajectorySet, gathered: Findings) -> list[tuple[object, ...]]:
    if trajectories.dataset is None:
        gathered.lack("truncation", "plain arrays do not tell what models cut off")
        return []
    column = trajectories.dataset.file.array
    flags, modality = column("invocations/flags"), column("invocations/modality")
    tokens = column("invocations/output_tokens")
    network = np.repeat(trajectories.labels.network, column("runs/n_steps"))
    rows: list[tuple[object, ...]] = []
    for name in dict.fromkeys(trajectories.labels.network.tolist()):
        for word, code in MODALITIES.items():
            mine = (network == name) & (modality == code)
            if not mine.any():
                continue
            own, counted = flags[mine], tokens[mine]
            shares = [
                float(((own & bit) > 0).mean())
                for bit in (INPUT_TRUNCATED, OUTPUT_TRUNCATED, OUTPUT_EMPTY)
            ]
            counted = counted[counted >= 0]
            mean = float(counted.mean()) if len(counted) else None
            rows.append((name, word, int(mine.sum()), *shares, mean))
            if max(shares) > 0:
                cut = f"{shares[0]:.1%} of inputs and {shares[1]:.1%} of outputs were cut off"
                gathered.statements.append(
                    Statement(name, f"{word}: {cut}, {shares[2]:.1%} are empty", max(shares))
                )
    return rows


PLUGINS = (
    Analysis(
        name="captions",
        question="What do the outputs look like?",
        asks="how long and varied texts are, how often cut off, what is left of the prompt's words",
        function=analyse_captions,
        settings=CaptionSettings,
        per_model=False,
        order=500,
        figures=(
            FigureSpec(
                name="lengths",
                table="lengths",
                form="lines",
                title="Words of a text, by state",
                caption="Mean over runs.",
                x="state",
                y="words",
                series="network",
            ),
            FigureSpec(
                name="words_left",
                table="words_left",
                form="lines",
                title="What is left of the prompt's words",
                caption="Share of its own prompt's words in a text, less that of other prompts' "
                "words: 0 (line) is what texts of strangers have.",
                x="state",
                y="extra",
                reference=0.0,
                low="low",
                high="high",
            ),
        ),
    ),
)
