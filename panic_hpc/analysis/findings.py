"""What an analysis gathers on its way: what it found, and of each part that failed, why."""

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
        self.not_done: list[NotDone] = []

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Keep the reason where the body raises AnalysisError."""
        try:
            yield
        except AnalysisError as error:
            self.lack(what, str(error))

    def lack(self, what: str, why: str) -> None:
        """Say what could not be done, and why; the same is said once."""
        if NotDone(what, why) not in self.not_done:
            self.not_done.append(NotDone(what, why))

    def result(self, tables: Sequence[ResultTable], n_units: Mapping[str, int]) -> AnalysisResult:
        """Return all of it; tables without rows are left out."""
        full = [table for table in tables if len(table)]
        return AnalysisResult(self.statements, full, self.tests, self.not_done, n_units)


def units_of(labels: RunLabels) -> dict[str, int]:
    """Return the numbers of runs, prompts and networks."""
    return {
        "runs": len(labels),
        "prompts": len(set(labels.prompt.tolist())),
        "networks": len(set(labels.network.tolist())),
    }


def between(low: float, high: float, level: float, digits: str = ".3f") -> str:
    """Return " (95% interval 0.1 to 0.2)", "" where there is no interval."""
    if low != low or high != high:
        return ""
    return f" ({level:.0%} interval {low:{digits}} to {high:{digits}})"
