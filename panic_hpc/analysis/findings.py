"""What an analysis gathers on its way: what it found, and of each part that failed, why."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    NotDone,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import time_grid
from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Seen = TypeVar("Seen")


class Findings:
    """Statements, tests, tables and reasons, gathered part by part.

    Example:
        >>> gathered = Findings()
        >>> with gathered.part("network A"):          # an AnalysisError in here is a reason, kept
        ...     gathered.statements.append(Statement("A", "…"))
        >>> result = gathered.result([table], {"prompts": 20})
    """

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.tests: list[HypothesisTest] = []
        self._lacks: dict[tuple[str, str], list[str]] = {}

    @contextmanager
    def part(self, what: str, where: str = "") -> Iterator[None]:
        """Keep the reason where the body raises AnalysisError."""
        try:
            yield
        except AnalysisError as error:
            self.lack(what, str(error), where)

    def lack(self, what: str, why: str, where: str = "") -> None:
        """Say what could not be done, why, and in which network; one reason is told once."""
        places = self._lacks.setdefault((what, why), [])
        if where and where not in places:
            places.append(where)

    @property
    def not_done(self) -> list[NotDone]:
        """What could not be done, each with where."""
        return [
            NotDone(what, f"{why}{_among(places)}") for (what, why), places in self._lacks.items()
        ]

    def result(self, tables: Sequence[ResultTable], n_units: Mapping[str, int]) -> AnalysisResult:
        """Return all of it; tables without rows are left out."""
        full = [table for table in tables if len(table)]
        return AnalysisResult(self.statements, full, self.tests, self.not_done, n_units)


def _among(places: Sequence[str]) -> str:
    if not places:
        return ""
    more = f" and {len(places) - 2} more" if len(places) > 2 else ""
    return f" ({', '.join(places[:2])}{more})"


def looked_at(
    gathered: Findings,
    what: str,
    name: str,
    own: TrajectorySet,
    numbers: NDArray[np.int64],
    look: Callable[[NDArray[np.float32], np.random.Generator], Seen],
    *,
    most: int,
    seed: int,
    fewest: int,
) -> Iterator[tuple[int, Seen]]:
    """Yield (run, what `look` finds of its unit vectors) of at most `most` runs, evenly spaced.

    Each run draws from a stream of its own, by its row `numbers[run]` in the whole set. That some
    are not looked at, or raise AnalysisError for having fewer than `fewest` finite states, is said.
    """
    skipped, chosen = 0, time_grid(own.n_runs, most)
    if len(chosen) < own.n_runs:
        gathered.lack(f"{what} of all runs", f"{len(chosen)} of {own.n_runs} are looked at", name)
    for run in chosen.tolist():
        rng = np.random.default_rng([seed, int(numbers[run])])
        try:
            seen = look(own.unit(run), rng)
        except AnalysisError:
            skipped += 1
        else:
            yield run, seen
    if skipped:
        why = f"{counted(skipped, 'run')} with states that are not finite, or fewer than {fewest}"
        gathered.lack(f"{what} of some runs", why, name)


def too_few(n_prompts: int) -> str:
    """Return why there is no interval over so few prompts."""
    return f"{counted(n_prompts, 'prompt')}; an interval takes {FEWEST_UNITS}"


def units_of(labels: RunLabels) -> dict[str, int]:
    """Return the numbers of runs, prompts and networks."""
    return {
        "runs": len(labels),
        "prompts": len(set(labels.prompt.tolist())),
        "networks": len(set(labels.network.tolist())),
    }


def finite(value: float) -> float | None:
    """Return a number for a table, None where it is not finite."""
    return value if math.isfinite(value) else None


def between(low: float, high: float, level: float, digits: str = ".3f") -> str:
    """Return " (95% interval 0.1 to 0.2)", "" where there is no interval."""
    if low != low or high != high:
        return ""
    # "z": what rounds to zero has no sign; it stands behind the sign that is asked for.
    sign = digits[: digits.startswith("+")]
    digits = f"{sign}z{digits.removeprefix('+')}"
    return f" ({level:.0%} interval {low:{digits}} to {high:{digits}})"
