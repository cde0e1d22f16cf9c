"""Nearest states of other runs, with hubs corrected: whose neighbourhood a run passes through."""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.similarity.neighbours import (
    Hubness,
    Neighbours,
    hubness,
    local_similarities,
    nearest_neighbours,
)
from panic_hpc.analysis.estimators.variance.arrangements import Arrangements
from panic_hpc.analysis.estimators.variance.factors import Codes, factor
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import StateSample, spread_states
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet, unit_rows

_RUNS = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its network", ""),
    Quantity("prompt", "its prompt", ""),
    Quantity("states", "states that were asked", "states"),
    Quantity("distance", "mean distance to the nearest state of another run", "cosine distance"),
    Quantity("nearest_run", "run that is most often nearest, hubs corrected; null: none", ""),
    Quantity("share", "share of its states whose nearest state is of that run"),
    Quantity("same_network", "share whose nearest state is of a run of its network"),
    Quantity("same_prompt", "share whose nearest state is of a run of its prompt"),
)
_HUBS = (
    Quantity("neighbours", "plain, or with hubs corrected", ""),
    Quantity("k", "neighbours of each state", "states"),
    Quantity("states", "states among which they were sought", "states"),
    Quantity("skewness", "of how often a state is a neighbour, 0: no hubs"),
    Quantity("antihubs", "share of states that are nobody's neighbour"),
    Quantity("largest", "share of all places that the most frequent hundredth takes"),
)
_EXCHANGED = {"prompt": "network", "network": "prompt"}
"""A label, and that within which whole runs may exchange it where it does not matter."""


class NeighbourSettings(AnalysisSettings):
    """What the analysis can be told.

    k            neighbours of each state, for hubs and their correction
    most_states  among which neighbours are sought, exactly; of longer runs every n-th state
    """

    k: int = Field(default=10, ge=1)
    most_states: int = Field(default=20_000, ge=2)


def analyse_neighbours(trajectories: TrajectorySet, settings: NeighbourSettings) -> AnalysisResult:
    """Find the nearest state of another run for states of all runs."""
    gathered = Findings()
    tables: list[ResultTable] = []
    with gathered.part("neighbours"):
        sample = spread_states(trajectories, settings.most_states)
        points = unit_rows(trajectories.vectors[sample.rows])
        plain = nearest_neighbours(points, settings.k, runs=sample.runs)
        local = local_similarities(plain)
        corrected = nearest_neighbours(points, settings.k, runs=sample.runs, local=local)
        hubs = [hubness(one, len(points)) for one in (plain, corrected)]
        if sample.every > 1:
            gathered.lack(
                "neighbours among all states",
                f"sought among every {sample.every}th state of each run, {len(points)} in all; "
                "--set neighbours.most_states=N takes more",
            )
        tables = [_runs(trajectories, sample, plain, corrected), _hubs(hubs)]
        _say(trajectories, sample, corrected, hubs, settings, gathered)
    return gathered.result(tables, units_of(trajectories.labels))


def _runs(
    trajectories: TrajectorySet, sample: StateSample, plain: Neighbours, corrected: Neighbours
) -> ResultTable:
    counts = _counts(sample, corrected, trajectories.n_runs)
    labels, rows = trajectories.labels, []
    away = 1.0 - plain.scores[:, 0]
    for run in np.unique(sample.runs).tolist():
        own, others = counts[[run]].data, counts[[run]].indices
        known = away[(sample.runs == run) & np.isfinite(away)]
        total = own.sum()
        same = [
            float(own[label[others] == label[run]].sum() / total) if total else None
            for label in (labels.network, labels.prompt)
        ]
        rows.append(
            (run, str(labels.network[run]), str(labels.prompt[run]), len(known),
             float(known.mean()) if len(known) else None,
             int(others[own.argmax()]) if total else None,
             float(own.max() / total) if total else None, *same)
        )  # fmt: skip
    return ResultTable.of_rows("nearest_runs", "run", _RUNS, rows)


def _counts(sample: StateSample, corrected: Neighbours, n_runs: int) -> sparse.csr_matrix:
    """Return (runs, runs) how many states of a run have their nearest state in another."""
    first = corrected.rows[:, 0]
    known = first >= 0
    pairs = (sample.runs[known], sample.runs[first[known]])
    found = sparse.csr_matrix((np.ones(known.sum()), pairs), shape=(n_runs, n_runs))
    found.sum_duplicates()
    return found


def _hubs(hubs: list[Hubness]) -> ResultTable:
    return ResultTable.of_rows(
        "hubness",
        "kind of neighbours",
        _HUBS,
        (
            (name, one.k, one.n_points, one.skewness, one.antihubs, one.largest)
            for name, one in zip(("plain", "corrected"), hubs, strict=True)
        ),
    )


def _say(
    trajectories: TrajectorySet,
    sample: StateSample,
    corrected: Neighbours,
    hubs: list[Hubness],
    settings: NeighbourSettings,
    gathered: Findings,
) -> None:
    before, after = hubs
    counts = _counts(sample, corrected, trajectories.n_runs).tocoo()
    prompts = factor("prompt", trajectories.labels.prompt).codes
    for word in _EXCHANGED:
        label = factor(word, getattr(trajectories.labels, word)).codes
        if label.max() == 0:
            gathered.lack(f"nearest states by {word}", f"there is one {word} only")
            continue
        shares = shares_without_each(sample, corrected, label, prompts)
        mean, *bounds = jackknife_interval(shares, settings.level)
        low, high = np.clip(bounds, 0.0, 1.0).tolist()
        test, chance = _exchange(counts, word, trajectories.labels, settings)
        said = f"{mean:.0%} of nearest states are of a run of the same {word}"
        said += between(low, high, settings.level, ".0%")
        gathered.statements.append(
            Statement(
                "", f"{said}, {chance:.0%} where {word}s do not matter", mean, low, high,
                settings.level, "1", len(shares) - 1, "prompts",
            )
        )  # fmt: skip
        gathered.tests.append(test)
    gathered.statements.append(
        Statement(
            "hubs",
            f"The skewness of how often a state is among the {before.k} nearest is "
            f"{before.skewness:z.1f}, and {after.skewness:z.1f} once corrected; "
            f"{before.antihubs:.0%} and {after.antihubs:.0%} of states are nobody's neighbour",
            after.skewness, n=trajectories.n_runs, replication="runs",
        )
    )  # fmt: skip


def shares_without_each(
    sample: StateSample, corrected: Neighbours, label: Codes, prompts: Codes
) -> NDArray[np.float64]:
    """Return the mean share of nearest states of a run's label: of all, then without each prompt.

    Prompts compete for being nearest, so one that is left out makes room: the nearest of a state is
    then its next neighbour of another prompt. `label` and `prompts` have a code a run.
    """
    runs, neighbours = sample.runs, sample.runs[corrected.rows]
    is_known, own, others = corrected.rows >= 0, prompts[runs], prompts[neighbours]

    def share(prompt: int) -> float:
        allowed = is_known & (others != prompt)
        has = allowed.any(axis=1) & (own != prompt)
        nearest = neighbours[np.arange(len(runs)), allowed.argmax(axis=1)]
        counts = np.bincount(runs, has, len(prompts))
        same = np.bincount(runs, has & (label[nearest] == label[runs]), len(prompts))
        return float(np.mean(same[counts > 0] / counts[counts > 0])) if has.any() else math.nan

    return np.array([share(prompt) for prompt in range(-1, prompts.max() + 1)])


def _exchange(
    counts: sparse.coo_matrix,
    word: str,
    labels: RunLabels,
    settings: NeighbourSettings,
) -> tuple[HypothesisTest, float]:
    """Return the test of a label, exchanged among whole runs, and its mean under the null."""
    within = _EXCHANGED[word]
    arrangements = Arrangements(
        factor(word, getattr(labels, word)).codes,
        factor(within, getattr(labels, within)).codes,
        settings.draws,
        settings.seed,
    )
    values = np.array(
        [
            float(counts.data @ (codes[counts.row] == codes[counts.col])) / counts.data.sum()
            for some in arrangements.batches(64)
            for codes in some
        ]
    )
    found = arrangements.test("", values)
    null = f"{word}s do not matter: exchanged among whole runs of one {within}"
    test = HypothesisTest(
        "nearest states", word, null, found.statistic, found.p, found.n_units, "runs",
        found.permutations,
    )  # fmt: skip
    return test, float(values[1:].mean())


PLUGINS = (
    Analysis(
        name="neighbours",
        question=QUESTIONS[2],
        asks="which runs pass where another one has been, with hubs corrected and reported",
        function=analyse_neighbours,
        settings=NeighbourSettings,
        order=200,
        figures=(
            FigureSpec(
                name="nearest",
                table="nearest_runs",
                form="distributions",
                title="How near the nearest other run passes",
                caption="A tick is a run; bar and dot are quartiles and median.",
                x="network",
                y="distance",
            ),
        ),
    ),
)
