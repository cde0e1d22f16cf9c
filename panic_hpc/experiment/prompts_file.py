"""Files of prompts: a line each (.txt), a column `text` (.csv), or a JSON value a line (.jsonl)."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from panic_hpc.errors import ConfigError
from panic_hpc.experiment.text_file import read_text

MAX_BYTES = 256 * 2**20


def read_prompts(folder: Path, name: object) -> list[Any]:
    """Return the entries of the prompts file `name`, a path from `folder`, unchecked.

    Blank lines count for nothing. Raises ConfigError where the file is not what its ending says.
    """
    if not isinstance(name, str):
        raise ConfigError("prompts_file", ["the name of a file was expected"])
    path = folder / os.path.expanduser(name)
    if path.suffix.lower() not in _READERS:
        raise ConfigError(str(path), [f"a name that ends in {', '.join(_READERS)} was expected"])
    text = read_text(path, MAX_BYTES)
    try:
        return _READERS[path.suffix.lower()](text)
    except (ValueError, csv.Error, RecursionError) as error:
        raise ConfigError(str(path), [str(error)]) from error


def _lines(text: str) -> list[tuple[int, str]]:
    """Return (number, line) of all that are not blank; only \\n and \\r end a line."""
    # Not splitlines: it also breaks at U+2028, form feeds and \x1c, which prompts may hold.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _read_txt(text: str) -> list[Any]:
    return [line.strip() for _, line in _lines(text)]


def _read_jsonl(text: str) -> list[Any]:
    return [_json_line(number, line) for number, line in _lines(text)]


def _json_line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON ({error})") from error


def _read_csv(text: str) -> list[Any]:
    return _rows(text, ("text",), ("text", "group"))


def read_rows(path: Path, needed: Sequence[str], allowed: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a .csv by column; ConfigError where it is none, or has other columns."""
    text = read_text(path, MAX_BYTES)
    try:
        return _rows(text, needed, allowed)
    except (ValueError, csv.Error) as error:
        raise ConfigError(str(path), [str(error)]) from error


def _rows(text: str, needed: Sequence[str], allowed: Sequence[str]) -> list[dict[str, str]]:
    # newline="" keeps line ends inside quoted prompts as they are.
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = set(rows.fieldnames or ())
    if set(needed) - columns:
        named = " and ".join(needed)
        raise ValueError(f"the first line must name a column {named} (and may name a column group)")
    if len(columns) < len(rows.fieldnames or ()):
        raise ValueError("the first line names a column twice, and only one of them can be read")
    if unknown := columns - set(allowed):
        known = ", ".join(allowed[:-1]) + f" and {allowed[-1]}"
        raise ValueError(f"unknown column {sorted(unknown)[0]!r}; there are {known}")
    return [_csv_row(rows.line_num, row) for row in rows]


def _csv_row(number: int, row: dict[Any, Any]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ValueError(f"line {number} has another number of columns than the first line")
    return row


_READERS: dict[str, Callable[[str], list[Any]]] = {
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
}
