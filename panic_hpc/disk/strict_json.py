"""The one door for JSON that this package reads: bounded, finite, UTF-8, every key once.

Files may come from strangers, and Python's parser takes what no other program would: NaN, the last
of equal keys, numbers of thousands of digits, half a surrogate pair, UTF-16.
"""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 64
# The longest is -2**63: what does not fit into 64 bits, no column and no counter can hold.
MAX_INT_CHARACTERS = 20
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(content: bytes | bytearray | memoryview | str) -> Any:
    """Return the value of a JSON text; ValueError says, on one line, why it is none.

    Refuses what is nested deeper than 64, NaN and infinities, whole numbers of more than 64 bits,
    a key that is there twice, and texts that cannot be written as UTF-8.

    >>> parse_json(b'{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    text = content if isinstance(content, str) else bytes(content).decode("utf-8")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_int=_whole_number,
            parse_float=_finite,
            parse_constant=_not_finite,
        )
    # Python's parser gives up at its own limit of recursion.
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    if depth_exceeds(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    # Looked for in the text, since walking through every string of a large file costs seconds.
    if _SURROGATE_ESCAPE.search(text):
        _require_utf8(value)
    return value


def depth_exceeds(value: Any, limit: int) -> bool:
    """Say whether lists and tables are nested more than `limit` deep, without recursion."""
    level = [value]
    for _ in range(limit):
        level = [inner for outer in level for inner in _children(outer)]
    return bool(level)


def _children(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in inner if isinstance(item, dict | list)]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return table


def _whole_number(text: str) -> int:
    if len(text) > MAX_INT_CHARACTERS:
        raise ValueError(f"a whole number of {len(text)} characters")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:60]} is too large")
    return value


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _require_utf8(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text with half a surrogate pair") from None
