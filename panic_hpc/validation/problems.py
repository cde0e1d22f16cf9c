"""What is wrong with a table, in its writer's words: the key, the value, what would be right."""

import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from panic_hpc.errors import nearest

SHOWN_CHARACTERS = 60
MAX_PROBLEMS = 50

_TOLD = {
    "string_pattern_mismatch": "1 to 64 letters, digits, '.', '_', '-' were expected, no '.' first",
    "string_type": "a text was expected",
    "int_type": "a whole number was expected",
    "int_from_float": "a whole number was expected",
    "float_type": "a number was expected",
    "bool_type": "true or false was expected",
    "tuple_type": "a list was expected",
    "dict_type": "a table was expected",
    "model_type": "a table was expected",
    "finite_number": "a finite number was expected",
    "literal_error": "{expected} was expected",
    "greater_than_equal": "at least {ge} was expected",
    "greater_than": "more than {gt} was expected",
    "less_than_equal": "at most {le} was expected",
    "less_than": "less than {lt} was expected",
    "too_long": "at most {max_length} entries were expected",
}

Place = tuple[int | str, ...]


def shown(value: object) -> str:
    """Return `value` as a person would write it, on one line and cut to fit."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def dotted(place: Place) -> str:
    """Return a place as it is typed: ("networks", 0, "models", 1) is networks[0][1]."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not (part == "models" and text.endswith("]")):
            text += f".{shortened(part)}" if text else shortened(part)
    return text


def shortened(key: str) -> str:
    """Return a key as it was written, cut to fit on a line."""
    return key if len(key) <= SHOWN_CHARACTERS else key[: SHOWN_CHARACTERS - 1] + "…"


def at_most(problems: Sequence[str]) -> list[str]:
    """Return the first problems and the number of those left out, so that a screen is enough."""
    # A file of a million bad prompts would fill the terminal with a million lines.
    if len(problems) <= MAX_PROBLEMS:
        return list(problems)
    return [*problems[:MAX_PROBLEMS], f"… and {len(problems) - MAX_PROBLEMS} more"]


def explained(
    error: ValidationError,
    prefix: Place,
    keys: Collection[str] = (),
    told: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Return a line for each of pydantic's complaints.

    `keys` are what is valid beside them, `told` what a kind of complaint means in this file.
    """
    return [_line(details, prefix, keys, told) for details in error.errors(include_url=False)]


def unknown_key(place: str, key: str, keys: Collection[str]) -> str:
    """Return the line for a key that nothing reads, with the nearest that something does."""
    return f"{place}: unknown key. {nearest(shortened(key), keys)}".rstrip()


def _line(
    details: ErrorDetails, prefix: Place, keys: Collection[str], told: Mapping[str, str]
) -> str:
    place = dotted((*prefix, *details["loc"]))
    match details["type"]:
        case "extra_forbidden":
            return unknown_key(place, str(details["loc"][-1]), keys)
        case "missing":
            return f"{place} is missing"
        case "problem" if _is_long(details["input"]):
            return f"{place}: {details['msg']}"
        case _:
            return f"{place} = {shown(details['input'])}: {_told(details, told)}"


def _is_long(value: object) -> bool:
    """Say whether a value is a list that would only hide what is said of it."""
    return isinstance(value, list | tuple) and len(value) > 0


def _told(details: ErrorDetails, told: Mapping[str, str]) -> str:
    text = {**_TOLD, **told}.get(details["type"], "")
    return text.format(**details.get("ctx", {})) or details["msg"]


def is_finite(value: object) -> bool:
    """Say whether no number in a nested value is NaN or infinite."""
    if isinstance(value, Mapping):
        return all(is_finite(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)
