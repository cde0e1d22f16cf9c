"""Stays in clusters: how long, which cluster when, and what states in no cluster are part of."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.analyses.returning.clusters import ClusterSettings
from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis
from panic_hpc.analysis.estimators.shape.clusters import StateClusters, cluster_states, sparsity
from panic_hpc.analysis.estimators.shape.stays import KINDS, Stays, in_any_order, stays
from panic_hpc.analysis.estimators.survival.kaplan_meier import Survival, kaplan_meier
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.samples import StateSample, all_states
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of
from panic_hpc.errors import AnalysisError

_STAYS = (
    Quantity("network", "its models", ""),
    Quantity("states", "length of a stay in a cluster", "states"),
    Quantity("staying", "share of stays that last longer"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("any_order_low", "0, where the band of the null begins"),
    Quantity("any_order", "staying of each run's states in any order"),
)
_TIMES = (
    Quantity("network", "its models", ""),
    Quantity("state", "first state of a twentieth of the longest run", "states"),
    Quantity("cluster", "from 0; -1: in none", ""),
    Quantity("share", "share of the states of that time"),
)
_BETWEEN = (
    Quantity("network", "its models", ""),
    Quantity("kind", "what lies around a stretch in no cluster", ""),
    Quantity("stretches", "how many", "stretches"),
    Quantity("states", "in them", "states"),
    Quantity("share", "share of the states in no cluster"),
)
_SPARSITY = (
    Quantity("network", "its models", ""),
    Quantity("run", "row of the run", ""),
    Quantity("lies", "in a cluster, or in none", ""),
    Quantity("distance", "distance from the tenth nearest state of another run, 16 components"),
)
TIMES = 20


def analyse_cluster_stays(trajectories: TrajectorySet, settings: ClusterSettings) -> AnalysisResult:
    """Cluster the states of all runs as `clusters` does, and follow runs from one to the other."""
    gathered = Findings()
    tables: list[ResultTable] = []
    with gathered.part("stays in clusters"):
        sample = all_states(trajectories)
        own = cluster_states(trajectories.vectors, settings.smallest, settings.seed, sample.rows)
        if len(own.medoids) == 0:
            raise AnalysisError("states lie in no clusters, or in one alone")
        tables = _over_time(trajectories, sample, own, settings, gathered)
        tables.append(_sparsity(trajectories, sample, own))
    return gathered.result(tables, units_of(trajectories.labels))


def _over_time(
    trajectories: TrajectorySet,
    sample: StateSample,
    own: StateClusters,
    settings: ClusterSettings,
    gathered: Findings,
) -> list[ResultTable]:
    """Return, network by network, how long stays last, which cluster when, and what lies between.

    1. Stays are stretches of a run's states in one cluster; the last of a run is censored.
    2. Of each run's states in any order stays are as short as chance makes them.
    """
    codes, names = codes_of(trajectories.labels.network)
    prompts = trajectories.labels.prompt
    state = np.arange(len(sample.rows)) - np.searchsorted(sample.runs, sample.runs)
    time = state * TIMES // max(1, int(trajectories.lengths.max(initial=1)))
    first = -(-np.arange(TIMES) * int(trajectories.lengths.max(initial=1)) // TIMES)
    lasting: list[tuple[object, ...]] = []
    times: list[tuple[object, ...]] = []
    between_them: list[tuple[object, ...]] = []
    for code, name in enumerate(names):
        inside = codes[sample.runs] == code
        labels, runs = own.labels[inside], sample.runs[inside]
        mine = stays(labels, runs)
        drawn = stays(in_any_order(labels, runs, np.random.default_rng(settings.seed)), runs)
        if (labels >= 0).any():
            curves = [_curve(one, prompts, settings) for one in (mine, drawn)]
            lasting += [(name, *step) for step in _beside(*curves)]
            _say(name, curves[0], curves[1], settings, gathered)
        between_them += [(name, *row) for row in _between(mine)]
        counts = np.zeros((TIMES, len(own.medoids) + 1), np.int64)
        np.add.at(counts, (time[inside], labels + 1), 1)
        for at in np.flatnonzero(counts.sum(axis=1)).tolist():
            shares = counts[at] / counts[at].sum()
            times += [(name, int(first[at]), c - 1, float(s)) for c, s in enumerate(shares)]
    return [
        ResultTable.of_rows("stays", "length of a stay in a network", _STAYS, lasting),
        ResultTable.of_rows("times", "cluster at a time in a network", _TIMES, times),
        ResultTable.of_rows("between", "kind of stretch in no cluster", _BETWEEN, between_them),
    ]


def _curve(one: Stays, prompts: NDArray[np.str_], settings: ClusterSettings) -> Survival:
    inside = one.labels >= 0
    return kaplan_meier(
        one.lengths[inside], one.was_left[inside], prompts[one.runs[inside]],
        level=settings.level, draws=settings.draws, seed=settings.seed,
    )  # fmt: skip


def _beside(mine: Survival, drawn: Survival) -> Iterator[tuple[float, ...]]:
    """Yield the steps of a curve, each with the value that the other has there."""
    chance = list(drawn.steps())
    lengths = [step[0] for step in chance]
    for step in mine.steps():
        place = int(np.searchsorted(lengths, step[0], side="right")) - 1
        yield *step, 0.0, chance[place][1]


def _between(mine: Stays) -> list[tuple[object, ...]]:
    kinds = mine.kinds()
    total = int(mine.lengths[kinds != ""].sum())
    counts = [(kind, int((kinds == kind).sum()), int(mine.lengths[kinds == kind].sum()))
              for kind in KINDS]  # fmt: skip
    return [(kind, number, states, states / total) for kind, number, states in counts if number]


def _say(
    name: str, mine: Survival, drawn: Survival, settings: ClusterSettings, gathered: Findings
) -> None:
    """Say how many stays last longer than one state, beside what chance makes of it."""
    _, share, low, high = _after_one(mine)
    chance = _after_one(drawn)[1]
    bounds = between(low - chance, high - chance, settings.level, "+.0%")
    gathered.statements.append(
        Statement(
            name,
            f"{share:.0%} of stays in a cluster last longer than one state, and {chance:.0%} of "
            f"the same states in any order: {share - chance:+z.0%}{bounds}",
            share - chance, low - chance, high - chance, settings.level, "1", mine.n_units,
            "prompts",
        )
    )  # fmt: skip


def _after_one(curve: Survival) -> tuple[float, float, float, float]:
    return [step for step in curve.steps() if step[0] <= 1][-1]


def _sparsity(trajectories: TrajectorySet, sample: StateSample, own: StateClusters) -> ResultTable:
    runs = sample.runs[own.sampled]
    lies = np.where(own.labels[own.sampled] >= 0, "in a cluster", "in none")
    distances = own.unit * sparsity(own.points, runs)
    known = np.flatnonzero(np.isfinite(distances))
    networks = trajectories.labels.network[runs]
    columns = (networks[known], runs[known], lies[known], distances[known])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return ResultTable.of_rows("sparsity", "sampled state", _SPARSITY, rows)


PLUGINS = (
    Analysis(
        name="cluster-stays",
        question=QUESTIONS[1],
        asks="how long runs stay in a cluster, in which when, and what lies between clusters",
        function=analyse_cluster_stays,
        settings=ClusterSettings,
        order=60,
        answer=in_networks(
            "runs stay in their cluster longer than chance makes them (interval above 0)",
            lambda one: one.low > 0,
            "differences of the share of stays that last from one state to the next",
            "+.0%",
        ),
        figures=(
            FigureSpec(
                name="stays",
                table="stays",
                form="steps",
                title="How long runs stay in a cluster",
                caption="Share of stays that last longer (Kaplan-Meier; the last of a run is "
                "censored), interval over prompts. The grey edge is what each run's states in any "
                "order give.",
                x="states",
                y="staying",
                panels="network",
                low="low",
                high="high",
                null_low="any_order_low",
                null_high="any_order",
            ),
            FigureSpec(
                name="times",
                table="times",
                form="heatmap",
                title="Which clusters runs are in, and when",
                caption="Share of the states of a time (across, by its first state) in each "
                "cluster (down; -1: in none).",
                x="state",
                y="cluster",
                value="share",
                panels="network",
            ),
            FigureSpec(
                name="between",
                table="between",
                form="bars",
                title="What states in no cluster are part of",
                caption="Share of these states. Start: before the first cluster; excursion: from a "
                "cluster and back to it; transit: from one to another; end: never again in one; "
                "whole: the run never was.",
                x="network",
                y="share",
                series="kind",
            ),
            FigureSpec(
                name="sparsity",
                table="sparsity",
                form="distributions",
                title="How alone states are",
                caption="Distance from the tenth nearest state of another run; a tick is a state.",
                x="lies",
                y="distance",
                panels="network",
            ),
        ),
    ),
)
