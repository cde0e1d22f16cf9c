"""What every verb prints through: text from users is data, never markup or terminal control."""

import json
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

# highlight would colour numbers in prompts; without soft_wrap rich breaks long paths, which then
# cannot be copied.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_HARMLESS = {"\n", "\t"}
# Control, format (direction marks among them), private, surrogate, and the two separators: any of
# them can move or forge what a terminal shows.
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def plain(text: str) -> str:
    """Return `text` with control and direction-changing characters shown as escapes."""
    return "".join(
        char
        if char in _HARMLESS or unicodedata.category(char) not in _HIDDEN
        else char.encode("unicode_escape").decode()
        for char in text
    )


def one_line(text: str, most: int | None = None) -> str:
    """Return `text` with its line ends and tabs as escapes, cut to `most` characters."""
    line = plain(text).replace("\n", "\\n").replace("\t", "\\t")
    return line if most is None or len(line) <= most else line[: most - 1] + "…"


def literal(text: str, style: str = "") -> Text:
    """Return `text` for a table or panel, its brackets not read as markup."""
    return Text(plain(text), style=style)


def counted(number: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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


def size(nbytes: float) -> str:
    """Return a number of bytes as people write it: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if nbytes < 1000 or unit == "TB":
            break
        nbytes /= 1000
    return f"{nbytes:,.1f} {unit}"
