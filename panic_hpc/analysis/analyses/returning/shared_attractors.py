"""Shared attractors: whether runs of different prompts end in the same regions, and whose."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import about
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.shape.clusters import tile_states
from panic_hpc.analysis.estimators.similarity.shared import SharedRegions, shared_regions
from panic_hpc.analysis.findings import Findings, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import StateSample, all_states
from panic_hpc.analysis.trajectory_set import TrajectorySet

PERIODS = {"first fifth": (0.0, 0.2), "last half": (0.5, 1.0)}
_COLUMNS = (
    Quantity("period", "of each run", ""),
    Quantity("within", "mean overlap of strangers of one network"),
    Quantity("between", "mean overlap of strangers of different networks"),
    Quantity("p", "of the null that networks do not matter"),
    Quantity("runs", "runs compared", "runs"),
)


class SharedSettings(AnalysisSettings):
    """What the analysis can be told.

    regions  that the space is tiled into
    """

    regions: int = Field(default=32, ge=2)


def analyse_shared(trajectories: TrajectorySet, settings: SharedSettings) -> AnalysisResult:
    """Compare where strangers of one network spend their time with strangers of different ones."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    with gathered.part("shared attractors"):
        sample = all_states(trajectories)
        regions = tile_states(trajectories.vectors, settings.regions, settings.seed, sample.rows)
        for period, (first, last) in PERIODS.items():
            with gathered.part(period):
                shares = _occupancy(trajectories, sample, regions, settings.regions, first, last)
                shared = shared_regions(
                    shares, trajectories.labels.network, trajectories.labels.prompt,
                    permutations=settings.draws, seed=settings.seed,
                )  # fmt: skip
                rows.append((period, shared.within, shared.between, shared.test.p,
                             shared.test.n_units))  # fmt: skip
                _say(period, shared, gathered)
    table = ResultTable.of_rows("overlaps", "period", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _occupancy(
    trajectories: TrajectorySet,
    sample: StateSample,
    regions: NDArray[np.int64],
    n_regions: int,
    first: float,
    last: float,
) -> NDArray[np.float64]:
    """Return (runs, regions) shares of time in a period, nan of runs without states in it."""
    lengths = trajectories.lengths[sample.runs]
    starts = np.cumsum(trajectories.lengths) - trajectories.lengths
    state = np.arange(len(sample.runs)) - starts[sample.runs]
    inside = (regions >= 0) & (state >= first * lengths) & (state < np.ceil(last * lengths))
    places = sample.runs[inside] * n_regions + regions[inside]
    counts = np.bincount(places, minlength=trajectories.n_runs * n_regions)
    counts = counts.reshape(trajectories.n_runs, n_regions)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def _say(period: str, shared: SharedRegions, gathered: Findings) -> None:
    test = shared.test
    gathered.statements.append(
        Statement(
            period,
            f"Runs of different prompts spend {shared.within:.1%} of their {period} in the same "
            f"regions where they have one network, {shared.between:.1%} where they have two",
            shared.within - shared.between, n=test.n_units, replication="runs",
        )
    )  # fmt: skip
    gathered.tests.append(
        HypothesisTest(
            "shared attractors", period,
            "networks do not matter: exchanged among whole runs of one prompt",
            test.statistic, test.p, test.n_units, "runs", test.permutations,
        )
    )  # fmt: skip


PLUGINS = (
    Analysis(
        name="shared-attractors",
        question=QUESTIONS[2],
        asks="whether runs of different prompts end in the same regions, network by network",
        function=analyse_shared,
        settings=SharedSettings,
        order=210,
        answer=about("last half"),
    ),
)
