"""Sensitivity: how far another seed, or another wording of the prompt, takes a run."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.dynamics.divergence import Courses, Exponent, courses, exponent
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import has_shared_seeds, networks_of, time_grid
from panic_hpc.analysis.trajectory_set import TrajectorySet
from panic_hpc.errors import AnalysisError

_KINDS = ("other seed", "other wording", "other prompt")
_COURSES = (
    Quantity("network", "its models", ""),
    Quantity("differs", "seed alone (twins), wording of one group, or prompt", ""),
    Quantity("state", "from 0", "states"),
    Quantity("distance", "mean at that state", "cosine distance"),
    Quantity("low", "lower bound of it, over prompts or groups", "cosine distance"),
    Quantity("high", "upper bound of it", "cosine distance"),
)
_SHARES = (
    Quantity("network", "its models", ""),
    Quantity("differs", "seed alone, or wording of one group", ""),
    Quantity("share", "in the last quarter: of twins, their distance by that of strangers; of "
             "wordings, what is beyond twins by what strangers are beyond them"),
    Quantity("low", "lower bound of it"),
    Quantity("high", "upper bound of it"),
    Quantity("change", "since the first quarter"),
    Quantity("change_low", "lower bound of it"),
    Quantity("change_high", "upper bound of it"),
    Quantity("units", "prompts, or groups of wordings where there are any", "units"),
)  # fmt: skip
_EXPONENTS = (
    Quantity("network", "its models", ""),
    Quantity("window", "first states that it is of, till twins are half as far as strangers",
             "states"),
    Quantity("exponent", "slope of log distance of twins (FTLE)", "1 / state"),
    Quantity("no_chaos", "the same of a straight line, which needs no chaos", "1 / state"),
    Quantity("bend", "growth in the second half of the window less that in the first",
             "cosine distance / state"),
    Quantity("low", "lower bound of it, over units", "cosine distance / state"),
    Quantity("high", "upper bound of it", "cosine distance / state"),
    Quantity("p", "of the null that twins spread no faster later than at first, one-sided"),
    Quantity("units", "prompts, or groups", "units"),
)  # fmt: skip
# A network's states at once: of a file larger than memory a run is fetched once for all of them.
_READ_BYTES = 2**28
_BOUNDED = "the space is bounded, so that no distance grows for ever"


class SensitivitySettings(AnalysisSettings):
    """What the analysis can be told.

    most_states   of each run that are compared, evenly spaced
    early_states  first ones, at which an exponent is looked for
    """

    most_states: int = Field(default=40, ge=4)
    early_states: int = Field(default=60, ge=8)


def analyse_sensitivity(
    trajectories: TrajectorySet, settings: SensitivitySettings
) -> AnalysisResult:
    """Compare twins, wordings and strangers at matched states, network by network."""
    gathered = Findings()
    curves: list[tuple[object, ...]] = []
    shares: list[tuple[object, ...]] = []
    exponents: list[tuple[object, ...]] = []
    for name, own in networks_of(trajectories):
        with gathered.part("sensitivity", name):
            grid = time_grid(int(own.lengths.max()), settings.most_states)
            units, replication = _units(own)
            made = _courses(own, grid, units)
            curves += _curves(name, grid, made, settings.level)
            shares += _told(name, made, replication, settings.level, gathered)
            with gathered.part("exponent", name):
                early = np.arange(min(settings.early_states, int(own.lengths.max())))
                course = _courses(own, early, units)
                exponents.append(
                    _tested(name, exponent(course.twins, course.strangers, settings.level),
                            replication, settings.level, gathered)
                )  # fmt: skip
    if not curves:
        gathered.lack("sensitivity", "no network has two runs to compare")
    tables = [
        ResultTable.of_rows("distances", "state of a network and what differs", _COURSES, curves),
        ResultTable.of_rows("shares", "network and what differs", _SHARES, shares),
        ResultTable.of_rows("exponents", "network", _EXPONENTS, exponents),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _units(own: TrajectorySet) -> tuple[np.ndarray, str]:
    """Return (runs,) labels of independent units, and what they are: wordings go together."""
    prompts, groups = own.labels.prompt, own.labels.group
    if not (groups != "").any():
        return prompts, "prompts"
    named = np.char.add("group ", groups)
    return np.where(groups != "", named, np.char.add("prompt ", prompts)), "groups of prompts"


def _courses(own: TrajectorySet, grid: np.ndarray, units: np.ndarray) -> Courses:
    seeds = own.labels.seed if has_shared_seeds(own.labels) else None
    return courses(_each(own, grid), own.labels.prompt, units, seeds)


def _each(own: TrajectorySet, grid: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the vectors (runs, D) of each state of `grid`, which are read some at a time."""
    at_once = max(1, _READ_BYTES // (4 * own.n_runs * own.n_dimensions))
    for start in range(0, len(grid), at_once):
        yield from own.at(grid[start : start + at_once]).swapaxes(0, 1)


def _curves(name: str, grid: np.ndarray, made: Courses, level: float) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    columns = (made.twins, made.wordings, made.strangers)
    for kind, table in zip(_KINDS, columns, strict=True):
        for state, left in zip(grid.tolist(), table, strict=True):
            if np.isfinite(left[0]):
                rows.append((name, kind, state, *map(finite, jackknife_interval(left, level))))
    return rows


def _told(
    name: str, made: Courses, replication: str, level: float, gathered: Findings
) -> list[tuple[object, ...]]:
    n_units = made.twins.shape[1] - 1
    quarter = max(1, len(made.twins) // 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        beyond = made.strangers - made.twins
        ratios = {
            _KINDS[0]: made.twins / np.where(made.strangers > 1e-9, made.strangers, np.nan),
            _KINDS[1]: (made.wordings - made.twins) / np.where(beyond > 1e-9, beyond, np.nan),
        }
    rows: list[tuple[object, ...]] = []
    for kind, course in ratios.items():
        late, early = _mean(course[-quarter:]), _mean(course[:quarter])
        if not np.isfinite(late[0]):
            gathered.lack(f"sensitivity to {kind}", _MISSING[kind], name)
            continue
        share, change = jackknife_interval(late, level), jackknife_interval(late - early, level)
        rows.append((name, kind, *map(finite, share), *map(finite, change), n_units))
        gathered.statements.append(
            Statement(
                name, _SAID[kind].format(share[0], between(share[1], share[2], level, ".0%")),
                *share, level, "1", n_units, replication,
            )
        )  # fmt: skip
    return rows


_MISSING = {
    _KINDS[0]: "no two runs of one prompt at one state, or no other prompt to compare them with",
    _KINDS[1]: "no prompts of one group with runs at one state, beside twins and strangers",
}
_SAID = {
    _KINDS[0]: "Another seed takes a run {:z.0%}{} as far as another prompt does, in the end",
    _KINDS[1]: "Another wording takes a run {:z.0%}{} of the way from another seed to another "
    "prompt, in the end",
}


def _mean(course: np.ndarray) -> np.ndarray:
    """Return the mean (1 + units,) over states that are known whichever unit is left out."""
    known = course[np.isfinite(course).all(axis=1)]
    return np.asarray(known.mean(axis=0) if len(known) else np.full(course.shape[1], np.nan))


def _tested(
    name: str, found: Exponent, replication: str, level: float, gathered: Findings
) -> tuple[object, ...]:
    if not np.isfinite(found.p):
        raise AnalysisError("distances of twins do not vary by prompt: nothing can be tested")
    is_chaos = found.p < 1 - level
    evidence = "Evidence" if is_chaos else "No evidence"
    gathered.statements.append(
        Statement(
            f"exponent of {name}",
            f"{evidence} of exponential divergence: in the first {found.window} states the "
            f"distance of twins bends by {found.bend:+.2g} a state"
            f"{between(found.low, found.high, level, '.2g')}; log distance rises by "
            f"{found.slope:z.4f} a state, of a straight line without chaos by {found.line:z.4f}, "
            f"and {_BOUNDED}",
            found.bend, found.low, found.high, level, "cosine distance / state", found.n_units,
            replication,
        )
    )  # fmt: skip
    gathered.tests.append(
        HypothesisTest(
            "exponential divergence", name, "twins spread no faster later than at first",
            found.bend, found.p, found.n_units, replication,
        )
    )  # fmt: skip
    return (name, found.window, found.slope, found.line, found.bend, found.low, found.high,
            found.p, found.n_units)  # fmt: skip


PLUGINS = (
    Analysis(
        name="sensitivity",
        question=QUESTIONS[0],
        asks="how far another seed, or another wording, takes a run, beside another prompt",
        function=analyse_sensitivity,
        settings=SensitivitySettings,
        order=30,
        answer=in_networks(
            "another seed takes a run less far than another prompt (interval below 100%)",
            lambda one: one.high < 1,
            "distances of twins by those of strangers",
            ".0%",
            begins="Another seed",
        ),
        figures=(
            FigureSpec(
                name="distances",
                table="distances",
                form="lines",
                title="How far a run is taken by another seed, wording or prompt",
                caption="Mean over pairs at matched states, interval over prompts (over groups of "
                "wordings where there are any).",
                x="state",
                y="distance",
                series="differs",
                panels="network",
                low="low",
                high="high",
            ),
        ),
    ),
)
