"""What an analysis gathers on its way: what it found, and of each part that failed, why."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    NotDone,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.trajectory_set import RunLabels
from panic_hpc.errors import AnalysisError


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
    return f" ({level:.0%} interval {low:{digits}} to {high:{digits}})"
