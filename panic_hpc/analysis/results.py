"""What an analysis gives: tables with units, sentences with intervals, tests, and what it could not
do.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from panic_hpc.errors import PanicError


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of a result: its name, what it means, its unit ("" for words, "1" for ratios)."""

    name: str
    meaning: str
    unit: str = "1"


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of an analysis: a list of values of one length for each quantity.

    `rows` says in a word what a row is: "network", "run", "lag".
    """

    name: str
    rows: str
    columns: tuple[Quantity, ...]
    data: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        named = [column.name for column in self.columns]
        if named != list(self.data):
            raise PanicError(f"Table {self.name} describes {named} and has {list(self.data)}")
        lengths = {name: len(values) for name, values in self.data.items()}
        if len(set(lengths.values())) > 1:
            raise PanicError(f"Columns of table {self.name} differ in length: {lengths}")

    @classmethod
    def of_rows(
        cls,
        name: str,
        rows: str,
        columns: Sequence[Quantity],
        values: Iterable[Sequence[Any] | Mapping[str, Any]],
    ) -> "ResultTable":
        """Make a table of rows, each a sequence in the order of columns or a mapping by name."""
        given = [
            [row[c.name] for c in columns] if isinstance(row, Mapping) else list(row)
            for row in values
        ]
        data = {c.name: [row[place] for row in given] for place, c in enumerate(columns)}
        return cls(name, rows, tuple(columns), data)

    def __len__(self) -> int:
        return len(next(iter(self.data.values()), ()))

    def row(self, number: int) -> dict[str, Any]:
        """Return one row by name."""
        return {name: values[number] for name, values in self.data.items()}


@dataclass(frozen=True, slots=True)
class Statement:
    """An answer in one sentence, with its number.

    subject      what it is about: a network's name, say; "" for the dataset
    sentence     the answer, for people, its number and interval in it
    value        the number; nan where there is none
    low, high    its interval, nan where there is none
    level        of the interval
    unit         of the number
    n            independent units that it rests on
    replication  what these units are: "prompts"
    """

    subject: str
    sentence: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    level: float = 0.95
    unit: str = "1"
    n: int = 0
    replication: str = ""


@dataclass(frozen=True, slots=True)
class HypothesisTest:
    """A test that was made; the table of all tests has a row for each.

    family        tests that are corrected together
    subject       what was tested: a network's name, say
    null          what would be so if there were nothing, in words
    statistic     its value
    p             p-value
    n             independent units
    replication   what these units are; there is no p-value without them
    permutations  draws from the null, 0 where p comes from theory
    """

    family: str
    subject: str
    null: str
    statistic: float
    p: float
    n: int
    replication: str
    permutations: int = 0

    def __post_init__(self) -> None:
        if not self.replication:
            raise PanicError(f"The test {self.family} names no unit of replication")


@dataclass(frozen=True, slots=True)
class NotDone:
    """What an analysis could not say, and why: "interval": "there is one prompt only"."""

    what: str
    why: str


@dataclass(frozen=True)
class AnalysisResult:
    """All that an analysis found."""

    statements: Sequence[Statement] = ()
    tables: Sequence[ResultTable] = ()
    tests: Sequence[HypothesisTest] = ()
    not_done: Sequence[NotDone] = ()
    n_units: Mapping[str, int] = field(default_factory=dict)
    """Independent units by what they are: {"prompts": 20, "runs": 320}."""

    def table(self, name: str) -> ResultTable:
        """Return the table of that name; PanicError where there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        known = ", ".join(table.name for table in self.tables) or "none"
        raise PanicError(f"There is no table {name!r}", hint=f"Tables: {known}")


def refused(what: str, why: str) -> AnalysisResult:
    """Return the result of an analysis that could not do anything."""
    return AnalysisResult(not_done=(NotDone(what, why),))


def q_values(p: Sequence[float]) -> list[float]:
    """Return the false discovery rates of p-values after Benjamini and Hochberg (1995).

    Order is kept; nan stays nan and does not count.
    """
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    found = np.full(len(values), np.nan)
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    # From the largest down: a q-value never exceeds those of larger p-values.
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return [float(q) for q in found]


TEST_COLUMNS = (
    Quantity("analysis", "analysis that made the test", ""),
    Quantity("model", "embedding model, empty for none", ""),
    Quantity("family", "tests that are corrected together", ""),
    Quantity("subject", "what was tested", ""),
    Quantity("null", "what would be so if there were nothing", ""),
    Quantity("statistic", "value of the statistic"),
    Quantity("n", "independent units"),
    Quantity("replication", "what the independent units are", ""),
    Quantity("permutations", "draws from the null, 0: p comes from theory"),
    Quantity("p", "p-value"),
    Quantity("q", "false discovery rate within the family (Benjamini and Hochberg)"),
)


def table_of_tests(told: Iterable[tuple[str, str, HypothesisTest]]) -> ResultTable:
    """Return the table of all tests, each given as (analysis, embedding model, test)."""
    tests = list(told)
    families: dict[tuple[str, str], list[int]] = {}
    for place, (analysis, _, test) in enumerate(tests):
        families.setdefault((analysis, test.family), []).append(place)
    q = [math.nan] * len(tests)
    for places in families.values():
        for place, value in zip(places, q_values([tests[i][2].p for i in places]), strict=True):
            q[place] = value
    return ResultTable.of_rows(
        "tests",
        "test",
        TEST_COLUMNS,
        (
            (analysis, model, t.family, t.subject, t.null, float(t.statistic), int(t.n),
             t.replication, int(t.permutations), float(t.p), rate)
            for (analysis, model, t), rate in zip(tests, q, strict=True)
        ),
    )  # fmt: skip
