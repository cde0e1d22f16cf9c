"""Tables of keys and values in files: TOML, or JSON as people write it; else a ConfigError."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from panic_hpc.disk.strict_json import depth_exceeds
from panic_hpc.errors import ConfigError
from panic_hpc.experiment.text_file import read_text
from panic_hpc.validation.problems import shortened, shown

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 16
# More than any setting has, and than JSON of ours is read with; smaller ones have bounds by place.
MAX_DIGITS = 19

# tomllib takes quadratic time over a dotted key: half a minute over 64 kB. Nobody writes one of 64
# parts; each repetition is possessive, so that the search itself stays linear.
_LONG_KEY = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}"""
)

# A string as a whole, or what JSON does not have outside of one. Unterminated strings and comments
# end with the file, so that nothing is searched twice.
_STRING = r'"(?:[^"\\]|\\.)*+(?:"|\Z)'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*+|\#[^\n]*+|/\*(?s:.*?)(?:\*/|\Z)")
_LAST_COMMA = re.compile(rf"{_STRING}|,(?=\s*+[\]}}])")

NOTHING: Mapping[str, Any] = {}


def read_table(path: Path) -> dict[str, Any]:
    """Return the top-level table of a file; ConfigError where there is none to be had."""
    text = read_text(path, MAX_BYTES)
    parse = _parse_json if _looks_like_json(path, text) else _parse_toml
    try:
        table = parse(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), [_parse_problem(error)]) from error
    if not isinstance(table, dict):
        text = f"a table of keys and values was expected, not {shown(table)}"
        raise ConfigError(str(path), [text])
    # Before any recursive walk: both parsers accept some hundred levels, and repr and pydantic
    # recurse.
    if depth_exceeds(table, MAX_DEPTH):
        raise ConfigError(str(path), [f"nested more than {MAX_DEPTH} deep"])
    if large := next(_too_large(table), None):
        raise ConfigError(str(path), [f"{large}: at most {MAX_DIGITS} digits were expected"])
    return table


def _too_large(value: Any, place: str = "") -> Iterator[str]:
    """Yield the places of whole numbers that no file of ours could hold."""
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        yield f"{place} = {shown(value)}"
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _too_large(inner, f"{place}.{key}" if place else shortened(key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _too_large(inner, f"{place}[{number}]")


def _looks_like_json(path: Path, text: str) -> bool:
    # By content too, for JSON under another ending: no TOML begins with a brace or a slash.
    return path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "/")


def _parse_toml(text: str) -> Any:
    if _LONG_KEY.search(text):
        raise ValueError("a dotted key of more than 64 parts")
    return tomllib.loads(text)


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_table_of_distinct_keys)
    except json.JSONDecodeError:
        # As people write it, and as upstream's README does. Second, so that what is JSON is read as
        # JSON; blanks keep the places that an error names.
        plain = _LAST_COMMA.sub(_blanked, _COMMENT.sub(_blanked, text))
        return json.loads(plain, object_pairs_hook=_table_of_distinct_keys)


def _blanked(found: re.Match[str]) -> str:
    whole = found[0]
    return whole if whole[0] == '"' else re.sub(r"[^\n]", " ", whole)


def _table_of_distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of equal keys without a word; TOML refuses them.
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return table


def _parse_problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested absurdly deep"
    return f"does not parse: {error}"
