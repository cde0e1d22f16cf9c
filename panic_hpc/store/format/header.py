"""The header inside every file: one JSON text that says where each array lies and its checksums."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from panic_hpc.keys import canonical_json
from panic_hpc.store.checks.rules import RefusedError
from panic_hpc.store.format.column import FORMAT, FORMAT_MAJOR, FORMAT_MINOR

# It is read into memory before its checksum can be looked at.
HEADER_LIMIT_BYTES = 2**30
SHARD = "shard"
DATASET = "dataset"
# No larger number is accepted, so none has more digits, and sums of two stay within int64.
_LARGEST_OFFSET = 2**62


@dataclass(frozen=True, slots=True)
class ArrayEntry:
    """One array: `offset` is its first byte in the file, 0 where it is empty.

    `sha256` has a checksum a block; in a dataset `blocks` (first, last) gives rows of its
    checksums table instead.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    sha256: tuple[str, ...] = ()
    blocks: tuple[int, int] | None = None

    @property
    def nbytes(self) -> int:
        """Size of the array in bytes."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def row_bytes(self) -> int:
        """Size of one row (an element of the first axis) in bytes."""
        return prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it stands in a header."""
        value: dict[str, Any] = {"dtype": self.dtype, "shape": self.shape, "offset": self.offset}
        if self.blocks is None:
            return value | {"sha256": self.sha256}
        return value | {"blocks": self.blocks}


def encode(kind: str, values: Mapping[str, Any], entries: Mapping[str, ArrayEntry]) -> bytes:
    """Return the header's bytes: format, version and kind, then `values`, then the arrays."""
    return canonical_json(
        {
            "format": FORMAT,
            "version": [FORMAT_MAJOR, FORMAT_MINOR],
            "kind": kind,
            **values,
            "arrays": {name: entry.to_json() for name, entry in entries.items()},
        }
    ).encode()


def reserved_bytes(kind: str, values: Mapping[str, Any], shapes: Mapping[str, ArrayEntry]) -> int:
    """Return a size that the header cannot exceed once offsets are known."""
    # A circle: offsets depend on the header's size, and this on how many digits they have.
    widest = {
        name: ArrayEntry(entry.dtype, entry.shape, _LARGEST_OFFSET, entry.sha256, entry.blocks)
        for name, entry in shapes.items()
    }
    return len(encode(kind, values, widest))


def decode(content: bytes | bytearray, checksum: str, source: str) -> dict[str, Any]:
    """Return the checked header; its "arrays" become {name: ArrayEntry}.

    Raises RefusedError, naming `source`, where it is damaged, foreign or of a newer format.
    """
    if hashlib.sha256(content).hexdigest() != checksum:
        raise RefusedError("F02", f"{source} is damaged: the checksum of its header does not match")
    try:
        value = json.loads(content)
    # A text of a million brackets ends Python's recursion, not its parser.
    except (ValueError, RecursionError) as error:
        raise RefusedError("F02", f"{source} has a header that is not JSON ({error})") from error
    _check_version(value, source)
    value["arrays"] = _entries(value.get("arrays"), source)
    return dict(value)


def _check_version(value: Any, source: str) -> None:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise RefusedError("F02", f"{source} is not a file of {FORMAT}")
    version = value.get("version")
    # type(), since True is an int to isinstance.
    if not (isinstance(version, list) and len(version) == 2 and type(version[0]) is int):
        raise RefusedError("F02", f"{source} does not say which version of the format it has")
    if version[0] != FORMAT_MAJOR:
        raise RefusedError(
            "F02",
            f"{source} has format version {version[0]}.{version[1]}, this program reads "
            f"{FORMAT_MAJOR}.x",
            hint="Install the version of panic_hpc that wrote it, or a newer one",
        )


def _entries(value: Any, source: str) -> dict[str, ArrayEntry]:
    if not isinstance(value, dict):
        raise RefusedError("F02", f"{source} has a header without a list of arrays")
    try:
        return {str(name): _entry(entry) for name, entry in value.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(
            "F02", f"{source} has a header with a wrong array entry ({error})"
        ) from error


def _entry(value: Mapping[str, Any]) -> ArrayEntry:
    shape, offset, blocks = value["shape"], value["offset"], value.get("blocks")
    # Of the kinds refused, objects would be read as pointers.
    if not _whole_numbers([*shape, offset]) or np.dtype(value["dtype"]).kind not in "iufS":
        raise ValueError(f"shape {shape}, offset {offset}, dtype {value['dtype']}")
    if blocks is not None and not (_whole_numbers(blocks) and len(blocks) == 2):
        raise ValueError(f"blocks {blocks}")
    return ArrayEntry(
        str(value["dtype"]),
        tuple(shape),
        offset,
        tuple(str(digest) for digest in value.get("sha256", ())),
        None if blocks is None else (blocks[0], blocks[1]),
    )


def _whole_numbers(values: Sequence[Any]) -> bool:
    return all(type(value) is int and 0 <= value <= _LARGEST_OFFSET for value in values)
