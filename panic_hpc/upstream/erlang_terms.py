"""Decoding Erlang's external term format: as much of it as data has, nothing that could run.

Atoms become str, binaries str where they are UTF-8 and bytes else, tuples list, maps dict.
Format: https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
"""

import struct
import zlib
from typing import Any

from panic_hpc.errors import PanicError

MAX_BYTES = 2**28
# A list of nils has a byte an item in the file, and sixty in memory.
MAX_PARTS = 4 * 10**6
# Far within Python's own recursion, whose error would say nothing of the file.
MAX_DEPTH = 100
_VERSION = 131
_COMPRESSED = 80
_INFLATED_AT = 5


def decode_term(content: bytes) -> Any:
    """Return the term; PanicError where it is torn, too large, too deep or no data."""
    if len(content) < 2 or content[0] != _VERSION:
        raise PanicError("This is not a term in Erlang's external format")
    body = _inflated(content[1:])
    try:
        value, end = _term(body, 0, 0, _Budget(MAX_PARTS))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise PanicError("The Erlang term is torn") from error
    if end != len(body):
        raise PanicError("The Erlang term is followed by other bytes")
    return value


def _inflated(body: bytes) -> bytes:
    if body[0] != _COMPRESSED:
        return body
    if len(body) < _INFLATED_AT:
        raise PanicError("The Erlang term is torn")
    (size,) = struct.unpack_from(">I", body, 1)
    if size > MAX_BYTES:
        raise PanicError(f"The Erlang term has {size} bytes, more than {MAX_BYTES}")
    try:
        # One byte more than it claims, so that a lie shows; a bomb inflates no further.
        found = zlib.decompressobj().decompress(body[_INFLATED_AT:], size + 1)
    except zlib.error as error:
        raise PanicError(f"The Erlang term cannot be inflated ({error})") from error
    if len(found) != size:
        raise PanicError("The Erlang term is not as long as it says")
    return found


class _Budget:
    """How many parts a term may still have."""

    def __init__(self, parts: int) -> None:
        self.left = parts

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PanicError(f"The Erlang term has more than {MAX_PARTS} parts")


def _term(body: bytes, at: int, depth: int, budget: _Budget) -> tuple[Any, int]:
    budget.spend()
    if depth > MAX_DEPTH:
        raise PanicError(f"The Erlang term is nested deeper than {MAX_DEPTH}")
    tag, at = body[at], at + 1
    if tag in _FIXED:
        code = struct.Struct(_FIXED[tag])
        return code.unpack_from(body, at)[0], at + code.size
    if tag in _SIZED:
        return _sized(tag, body, at)
    if tag in _SEQUENCES:
        return _sequence(tag, body, at, depth, budget)
    if tag == 106:
        return [], at
    if tag == 116:
        return _map(body, at, depth, budget)
    raise PanicError(f"The Erlang term has a part of kind {tag}, which is no data")


_FIXED = {97: ">B", 98: ">i", 70: ">d"}
"""Small integer, integer, float."""

_SIZED = {100: ">H", 118: ">H", 119: ">B", 115: ">B", 109: ">I", 107: ">H", 110: ">B"}
"""Atoms (four kinds), binary, list of bytes, large integer: how their length is written."""

_SEQUENCES = {108: ">I", 104: ">B", 105: ">I"}
"""List (with a tail), small tuple, large tuple."""


def _sized(tag: int, body: bytes, at: int) -> tuple[Any, int]:
    size = struct.Struct(_SIZED[tag])
    (length,) = size.unpack_from(body, at)
    # A large integer has a byte for its sign before its magnitude.
    at += size.size + (tag == 110)
    # Slices of bytes never raise: a torn term would decode to less.
    if at + length > len(body):
        raise IndexError
    content = body[at : at + length]
    # Erlang writes lists of small integers this way, whether they are text or not.
    if tag == 107:
        return list(content), at + length
    if tag == 110:
        if length > 8:
            raise PanicError(f"The Erlang term has a whole number of {length} bytes")
        magnitude = int.from_bytes(content, "little")
        return (-magnitude if body[at - 1] else magnitude), at + length
    if tag == 109:
        return _text_or_bytes(content), at + length
    return content.decode("latin-1" if tag in (100, 115) else "utf-8"), at + length


def _text_or_bytes(content: bytes) -> str | bytes:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def _sequence(tag: int, body: bytes, at: int, depth: int, budget: _Budget) -> tuple[list[Any], int]:
    size = struct.Struct(_SEQUENCES[tag])
    (count,) = size.unpack_from(body, at)
    at += size.size
    items = []
    for _ in range(count):
        item, at = _term(body, at, depth + 1, budget)
        items.append(item)
    if tag == 108:
        tail, at = _term(body, at, depth + 1, budget)
        # [a | b] has no counterpart here.
        if tail != []:
            raise PanicError("The Erlang term has an improper list")
    return items, at


def _map(body: bytes, at: int, depth: int, budget: _Budget) -> tuple[dict[Any, Any], int]:
    (count,) = struct.unpack_from(">I", body, at)
    at += 4
    found = {}
    for _ in range(count):
        key, at = _term(body, at, depth + 1, budget)
        value, at = _term(body, at, depth + 1, budget)
        if not isinstance(key, str | int | float | bytes):
            raise PanicError("The Erlang term has a map with keys that are no names")
        found[key] = value
    return found, at
