"""What every verb prints through: text from users is data, never markup or terminal control."""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from panic_hpc.plain_text import name_lines, plain

if TYPE_CHECKING:
    from rich.table import Table

# highlight would colour numbers in prompts; without soft_wrap rich breaks long paths, which then
# cannot be copied.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
NARROWEST_NAME = 12
"""Columns that a name has, however little room others leave."""


def literal(text: str, style: str = "") -> Text:
    """Return `text` for a table or panel, its brackets not read as markup."""
    return Text(plain(text), style=style)


def columns(*head: str, left: Collection[str] = ()) -> "Table":
    """Return a table without lines, its columns to the right but for those named `left`."""
    from rich.table import Table

    table = Table(*head, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns:
        column.justify = "left" if column.header in left else "right"
    return table


def add_named_rows(table: "Table", rows: Iterable[Sequence[str]], *, names: int) -> None:
    """Add rows whose cells in column `names` are names: on several lines where others need room."""
    given = [[plain(cell) for cell in row] for row in rows]
    heads = [str(column.header) for column in table.columns]
    widths = [max(map(len, cells)) + 2 for cells in zip(heads, *given, strict=True)]
    room = max(NARROWEST_NAME, out.width - sum(widths) + widths[names] - 2)
    # On a terminal that has no room even so, a name is folded rather than cut.
    table.columns[names].overflow = "fold"
    for row in given:
        row[names] = "\n".join(name_lines(row[names], room))
        table.add_row(*map(Text, row))


def say(text: str, style: str = "") -> None:
    """Print a line for people to standard output."""
    out.print(literal(text, style))


def warn(text: str) -> None:
    """Print a line for people to standard error."""
    err.print(literal(text, "yellow"))


def say_json(value: Any) -> None:
    """Print one JSON document, and nothing else, to standard output.

    In ASCII, so that it is whole whatever the terminal's encoding and a path's bytes are.
    """
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
