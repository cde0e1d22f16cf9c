"""Tables as the page shows them: their first rows as words, the rest as a file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.plain_text import counted
from panic_hpc.report.page.numbers import number

MOST_ROWS = 200
MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column's head: `is_number` decides alignment and how it is sorted."""

    name: str
    meaning: str
    unit: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class TableView:
    """A table on the page.

    total    rows of all of it; `rows` are the first, as words
    kind     what a row is
    href     its file in the report, "" where there is none
    is_open  whether it is unfolded
    """

    title: str
    columns: Sequence[ColumnView]
    rows: Sequence[Sequence[str]]
    total: int
    kind: str = ""
    href: str = ""
    is_open: bool = False

    @property
    def size(self) -> str:
        """How many rows it has, and what each is."""
        rows = counted(self.total, "row")
        return f"{rows}, one a {self.kind}" if self.kind else rows


def view(table: ResultTable, href: str = "", title: str = "", is_open: bool = False) -> TableView:
    """Return how the page shows a table."""
    columns = [_column(one, table.data[one.name]) for one in table.columns]
    shown = min(len(table), MOST_ROWS)
    rows = [[_cell(table.data[one.name][row]) for one in table.columns] for row in range(shown)]
    name = title or table.name.replace("_", " ")
    return TableView(name, columns, rows, len(table), table.rows, href, is_open)


def _column(quantity: Quantity, values: Sequence[Any]) -> ColumnView:
    known = [value for value in values[:MOST_ROWS] if value is not None]
    is_number = bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )
    unit = "" if quantity.unit == "1" else quantity.unit
    return ColumnView(quantity.name, quantity.meaning, unit, is_number)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # A row's number or a seed is a name: no commas in it.
        return str(value)
    if isinstance(value, float):
        return number(value)
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"
