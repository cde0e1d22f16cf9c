"""Clusters of all states by density, with the caption in the middle of each, and the moves between.

HDBSCAN of scikit-learn, among a sample in the first principal components. EVoC clusters embeddings
too; it would bring numba, and finds here what HDBSCAN finds.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import mean_interval
from panic_hpc.analysis.estimators.shape.clusters import (
    StateClusters,
    cluster_states,
    transitions,
)
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.samples import StateSample, all_states, caption_of
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of
from panic_hpc.plain_text import counted

_CLUSTERS = (
    Quantity("cluster", "from 0; -1: in none", ""),
    Quantity("states", "states in it", "states"),
    Quantity("share", "of all states"),
    Quantity("runs", "runs that were ever in it", "runs"),
    Quantity("prompts", "prompts of these runs", "prompts"),
    Quantity("networks", "networks of these runs", "networks"),
    Quantity("medoid_run", "run of the state in its middle", ""),
    Quantity("medoid_state", "which state of that run", "states"),
    Quantity("caption", "its text, or the one after its picture; null: unknown", ""),
)
_MOVES = (
    Quantity("network", "its models", ""),
    Quantity("source", "cluster of a state, -1: none", ""),
    Quantity("target", "cluster of the next state of the run, -1: none", ""),
    Quantity("moves", "how often", "states"),
    Quantity("probability", "share of the moves from that source in that network"),
)


class ClusterSettings(AnalysisSettings):
    """What the analysis can be told.

    smallest  states that make a cluster, among the 5,000 that are looked at
    """

    smallest: int = Field(default=25, ge=2)


def analyse_clusters(trajectories: TrajectorySet, settings: ClusterSettings) -> AnalysisResult:
    """Cluster the states of all runs, and count moves between clusters."""
    gathered = Findings()
    tables: list[ResultTable] = []
    with gathered.part("clusters"):
        sample = all_states(trajectories)
        own = cluster_states(trajectories.vectors, settings.smallest, settings.seed, sample.rows)
        tables = [_clusters(trajectories, sample, own), _moves(trajectories, sample, own)]
        _say(trajectories, sample, own, settings, gathered)
    return gathered.result(tables, units_of(trajectories.labels))


def _clusters(trajectories: TrajectorySet, sample: StateSample, own: StateClusters) -> ResultTable:
    firsts = np.searchsorted(sample.runs, np.arange(trajectories.n_runs))
    rows = []
    for code in range(-1, len(own.medoids)):
        inside = own.labels == code
        runs = np.unique(sample.runs[inside])
        labels = trajectories.labels.select(runs)
        place: tuple[object, ...] = (None, None, None)
        if code >= 0:
            run = int(sample.runs[own.medoids[code]])
            state = int(own.medoids[code] - firsts[run])
            place = (run, state, caption_of(trajectories, run, state))
        rows.append(
            (code, int(inside.sum()), float(inside.mean()), len(runs),
             len(set(labels.prompt.tolist())), len(set(labels.network.tolist())), *place)
        )  # fmt: skip
    return ResultTable.of_rows("clusters", "cluster", _CLUSTERS, rows)


def _moves(trajectories: TrajectorySet, sample: StateSample, own: StateClusters) -> ResultTable:
    codes, names = codes_of(trajectories.labels.network)
    size = len(own.medoids)
    rows: list[tuple[object, ...]] = []
    for code, name in enumerate(names):
        inside = codes[sample.runs] == code
        counts = transitions(own.labels[inside], sample.runs[inside], size)
        for source, target in np.argwhere(counts).tolist():
            number = int(counts[source, target])
            ends = [-1 if end == size else end for end in (source, target)]
            rows.append((name, *ends, number, number / int(counts[source].sum())))
    return ResultTable.of_rows("transitions", "pair of clusters in a network", _MOVES, rows)


def _say(
    trajectories: TrajectorySet,
    sample: StateSample,
    own: StateClusters,
    settings: ClusterSettings,
    gathered: Findings,
) -> None:
    prompts = trajectories.labels.prompt.tolist()
    gathered.statements.append(
        Statement(
            "",
            f"{1 - own.unclustered:.0%} of states lie in {counted(len(own.medoids), 'cluster')}",
            1 - own.unclustered, n=len(set(prompts)), replication="prompts",
        )
    )  # fmt: skip
    if len(own.medoids) == 0:
        gathered.lack("moves between clusters", "states lie in no clusters, or in one alone")
        return
    stays = _shares_that_stay(own.labels, sample.runs, trajectories.n_runs)
    if not np.isfinite(stays).any():
        gathered.lack("moves between clusters", "no state in a cluster has a next state")
        return
    mean, low, high = mean_interval(stays, prompts, settings)
    gathered.statements.append(
        Statement(
            "", f"{mean:.0%} of steps stay in their cluster{between(low, high, settings.level)}",
            mean, low, high, settings.level, "1", len(set(prompts)), "prompts",
        )
    )  # fmt: skip


def _shares_that_stay(
    labels: NDArray[np.int64], runs: NDArray[np.int64], n_runs: int
) -> NDArray[np.float64]:
    """Return (runs,) of steps from a cluster, those that end in the same one; nan of none."""
    moves = (runs[1:] == runs[:-1]) & (labels[:-1] >= 0)
    counts = np.bincount(runs[:-1][moves], minlength=n_runs)
    stayed = np.bincount(runs[:-1][moves & (labels[1:] == labels[:-1])], minlength=n_runs)
    return np.where(counts > 0, stayed / np.maximum(counts, 1), np.nan)


PLUGINS = (
    Analysis(
        name="clusters",
        question=QUESTIONS[2],
        asks="which clusters all states form, what stands in their middle, how runs move between",
        function=analyse_clusters,
        settings=ClusterSettings,
        order=240,
        figures=(
            FigureSpec(
                name="shares",
                table="clusters",
                form="bars",
                title="How many states each cluster holds",
                caption="Cluster -1 is what belongs to none.",
                x="cluster",
                y="share",
            ),
            FigureSpec(
                name="transitions",
                table="transitions",
                form="heatmap",
                title="How runs move between clusters",
                caption="Probability of the next state's cluster (across) from that of a state "
                "(down).",
                x="target",
                y="source",
                value="probability",
                panels="network",
            ),
        ),
    ),
)
