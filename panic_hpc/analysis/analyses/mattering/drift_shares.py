"""Drift-variance shares of captioner and generator, as Hintze et al. report them and without bias.

They report 13.6 % and 0.2 %, shares of variance that a few levels inflate: with four levels and no
effect at all eta squared is 0.2 in the mean. Omega squared of crossed random effects is beside it.
"""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.answering import greatest
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.variance.components import variance_components
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows
from panic_hpc.errors import AnalysisError

PARTS = ("captioner", "generator")
TERMS = (*PARTS, "generator:captioner", "prompt", "prompt:network")
MOMENTS = {"a quarter": 0.25, "half": 0.5, "the end": 1.0}
_COLUMNS = (
    Quantity("moment", "share of the run that is over", ""),
    Quantity("part", "of the system", ""),
    Quantity("levels", "that it has here", "levels"),
    Quantity("eta2", "share of the variance of drift between its levels, with its bias"),
    Quantity("omega2", "share without it; negative: no sign of it"),
    Quantity("low", "lower bound of it"),
    Quantity("high", "upper bound of it"),
    Quantity("runs", "runs that got that far", "runs"),
)


def analyse_drift_shares(trajectories: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Deal the variance of the distance from the first state out to the parts of the system."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    for moment, share in MOMENTS.items():
        with gathered.part(moment):
            drift = _drift(trajectories, share)
            rows += _rows(trajectories, moment, drift, settings, gathered)
    table = ResultTable.of_rows("drift_shares", "part at a moment", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _drift(trajectories: TrajectorySet, share: float) -> NDArray[np.float64]:
    """Return (runs,) cosine distance of the state at a share of each run from its first."""
    drift = np.full(trajectories.n_runs, np.nan)
    for run in np.flatnonzero(trajectories.lengths > 1).tolist():
        last = max(1, round(share * int(trajectories.lengths[run])) - 1)
        first, state = unit_rows(trajectories.of_run(run)[[0, last]])
        drift[run] = 1.0 - float(first @ state)
    if not np.isfinite(drift).any():
        raise AnalysisError("no run has two finite states")
    return drift


def _rows(
    trajectories: TrajectorySet,
    moment: str,
    drift: NDArray[np.float64],
    settings: AnalysisSettings,
    gathered: Findings,
) -> list[tuple[object, ...]]:
    names = ("captioner", "generator", "prompt", "network")
    labels = {name: getattr(trajectories.labels, name) for name in names}
    dealt = variance_components(
        drift, labels, TERMS, level=settings.level, draws=settings.draws, seed=settings.seed
    )
    rows: list[tuple[object, ...]] = []
    for part in PARTS:
        if part in dealt.unresolved:
            gathered.lack(f"share of the {part}", dealt.unresolved[part])
            continue
        one = next(row for row in dealt.rows if row.term == part)
        if not np.isfinite(one.omega2):
            gathered.lack(f"share of the {part}", "all runs drift as far")
            continue
        eta2 = _eta2(drift, labels[part])
        rows.append((moment, part, one.n_levels, eta2, one.omega2, one.omega2_low, one.omega2_high,
                     dealt.n_runs))  # fmt: skip
        bounds = between(one.omega2_low, one.omega2_high, settings.level, ".1%")
        gathered.statements.append(
            Statement(
                part,
                f"At {moment} of a run the {part} makes {one.omega2:z.1%} of the variance of "
                f"drift{bounds}; {eta2:.1%} as it is usually counted, with the bias",
                one.omega2, one.omega2_low, one.omega2_high, settings.level, "1", one.n_levels,
                f"levels of {part}",
            )
        )  # fmt: skip
    return rows


def _eta2(values: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
    """Return the share of the sum of squares that lies between levels."""
    known = np.isfinite(values)
    part = factor("", labels[known])
    away = values[known] - values[known].mean()
    total = float((away**2).sum())
    among = float((part.means(away)[part.codes] ** 2).sum())
    return among / total if total > 0 else float("nan")


PLUGINS = (
    Analysis(
        name="drift-shares",
        question=QUESTIONS[3],
        asks="what share of the variance of drift captioner and generator make",
        function=analyse_drift_shares,
        order=330,
        answer=greatest,
        figures=(
            FigureSpec(
                name="shares",
                table="drift_shares",
                form="intervals",
                title="What the variance of drift is owed to",
                caption="Share (omega squared), interval over levels; 0 (line): it makes no "
                "difference.",
                x="part",
                y="omega2",
                series="moment",
                reference=0.0,
                low="low",
                high="high",
            ),
        ),
    ),
)
