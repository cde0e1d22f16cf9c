"""Do runs of different parts of the system lie elsewhere, or wider? PERMANOVA beside PERMDISP."""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.answering import greatest
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.principal_axes import principal_axes
from panic_hpc.analysis.estimators.variance.factors import cross, factor
from panic_hpc.analysis.estimators.variance.permutations import GroupDifference, compare_groups
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import mean_directions
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.errors import AnalysisError

DIMENSIONS = 64
_COLUMNS = (
    Quantity("part", "of the system, whose levels are compared", ""),
    Quantity("levels", "compared", "levels"),
    Quantity("unit", "what was permuted", ""),
    Quantity("units", "of these", "units"),
    Quantity("strata", "within which they were permuted", ""),
    Quantity("omega2", "share of squared distances within strata; negative: no sign of it"),
    Quantity("eta2", "the same with its bias"),
    Quantity("f2", "statistic of place that unequal spread does not mislead"),
    Quantity("f2_p", "its p"),
    Quantity("pseudo_f", "PERMANOVA's, which unequal spread misleads"),
    Quantity("pseudo_f_p", "its p"),
    Quantity("spread_f", "PERMDISP's: whether levels differ in spread"),
    Quantity("spread_p", "its p"),
    Quantity("dropped", "runs without a place, and units of strata with one level", "units"),
)
_WITHIN = {
    "generator": ("captioner", "prompt"),
    "captioner": ("generator", "prompt"),
    "prompt": ("network",),
}
_UNITS = {"generator": "network and prompt", "captioner": "network and prompt", "prompt": "run"}
"""Runs of a network and prompt share whatever that pair does, so that they move together."""


def analyse_places(trajectories: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Permute whole units among the levels of generator, captioner and prompt."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    with gathered.part("places"):
        places, kept = _reduced(mean_directions(trajectories, 0.5, 1.0))
        if kept < 0.999:
            gathered.lack(
                "places in all dimensions",
                f"compared in {DIMENSIONS} principal components, {kept:.1%} of squared distances",
            )
        for part, within in _WITHIN.items():
            with gathered.part(part):
                column = getattr(trajectories.labels, part)
                if len(set(column.tolist())) < 2:
                    raise AnalysisError(f"there is one {part} only")
                compared = compare_groups(
                    places, column, units=_units(trajectories.labels, part),
                    strata=_crossed(trajectories.labels, within), permutations=settings.draws,
                    seed=settings.seed,
                )  # fmt: skip
                rows.append(_row(part, compared))
                _say(part, compared, gathered)
    table = ResultTable.of_rows("places", "part of the system", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _reduced(places: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return places in their first principal components, and the share of squared distances."""
    known = np.isfinite(places).all(axis=1)
    if not known.any():
        raise AnalysisError("no run has a finite state")
    if places.shape[1] <= DIMENSIONS:
        return places, 1.0
    reduced = principal_axes(places[known], DIMENSIONS).of(places)
    total = float(((places[known] - places[known].mean(axis=0)) ** 2).sum())
    return reduced, float((reduced[known] ** 2).sum()) / total if total else 1.0


def _crossed(labels: RunLabels, names: tuple[str, ...]) -> NDArray[np.int64]:
    return cross("", [factor(name, getattr(labels, name)) for name in names]).codes


def _units(labels: RunLabels, part: str) -> NDArray[np.int64] | None:
    return None if _UNITS[part] == "run" else _crossed(labels, ("network", "prompt"))


def _row(part: str, compared: GroupDifference) -> tuple[object, ...]:
    tests = (compared.f2, compared.pseudo_f, compared.spread)
    numbers = [value for test in tests for value in (test.statistic, test.p)]
    return (
        part, compared.f2.n_groups, _UNITS[part], compared.f2.n_units, " and ".join(_WITHIN[part]),
        compared.omega2, compared.eta2, *numbers, compared.dropped,
    )  # fmt: skip


def _say(part: str, compared: GroupDifference, gathered: Findings) -> None:
    place, spread = compared.f2, compared.spread
    within = " and ".join(_WITHIN[part])
    if np.isfinite(compared.omega2):
        gathered.statements.append(
            Statement(
                part,
                f"The {part} makes {compared.omega2:z.0%} of squared distances between runs of one "
                f"{within} (p of place {place.p:.3g}, of spread {spread.p:.3g})",
                compared.omega2, n=place.n_units, replication=_UNITS[part],
            )
        )  # fmt: skip
    else:
        gathered.lack(f"share of the {part}", f"all runs of one {within} lie in one place")
    for family, what, test in (
        ("places", "lie in the same place", place),
        ("spreads", "are as wide as each other", spread),
    ):
        gathered.tests.append(
            HypothesisTest(
                family, part, f"levels of the {part} {what}, within {within}", test.statistic,
                test.p, test.n_units, _UNITS[part], test.permutations,
            )
        )  # fmt: skip


PLUGINS = (
    Analysis(
        name="places",
        question=QUESTIONS[3],
        asks="whether another generator, captioner or prompt moves runs, or spreads them",
        function=analyse_places,
        order=320,
        answer=greatest,
        figures=(
            FigureSpec(
                name="places",
                table="places",
                form="bars",
                title="What squared distances between runs are owed to",
                caption="Share (omega squared), within strata that leave the other parts equal.",
                x="part",
                y="omega2",
            ),
        ),
    ),
)
