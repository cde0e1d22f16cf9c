"""The header inside every file: one JSON text that says where each array lies and its checksums."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from panic_hpc.disk.blocks import n_blocks
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.keys import canonical_json
from panic_hpc.store.checks.rules import RefusedError
from panic_hpc.store.format.column import FORMAT, FORMAT_MAJOR, FORMAT_MINOR
from panic_hpc.validation.problems import explained

# It is read into memory before its checksum can be looked at.
HEADER_LIMIT_BYTES = 2**30
SHARD = "shard"
DATASET = "dataset"
# No larger number is accepted, so none has more digits, and sums of two stay within int64.
_LARGEST_OFFSET = 2**62


Whole = Annotated[int, Field(ge=0, le=_LARGEST_OFFSET)]
Label = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A name as it stands in messages, paths and tables: on one line."""
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ArrayName = Annotated[
    str, StringConstraints(max_length=1000, pattern=r"^[^/\x00-\x1f\x7f]+(/[^/\x00-\x1f\x7f]+)*$")
]
# Of the kinds refused, objects would be read as pointers, and NumPy runs a parser of Python's on
# names with commas.
DtypeName = Annotated[
    str, StringConstraints(pattern=r"^([|<>]?[iu]1|[<>][iu][248]|[<>]f[248]|\|?S[1-9][0-9]{0,3})$")
]


TOLD = {
    "string_pattern_mismatch": "a text of another form was expected",
    "list_type": "a list was expected",
    "union_tag_invalid": "shard or dataset was expected",
    "union_tag_not_found": "shard or dataset was expected as kind",
}
"""What complaints about members mean, for `explained`."""


class _Model(BaseModel):
    # Readers ignore members that a later minor version added.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class EntryModel(_Model):
    """An array as it stands in a header."""

    dtype: DtypeName
    # NumPy takes 64 axes, HDF5 32; a kind of result needs a few.
    shape: Annotated[list[Whole], Field(max_length=32)]
    offset: Whole
    sha256: list[Sha256] | None = None
    blocks: Annotated[list[Whole], Field(min_length=2, max_length=2)] | None = None


class _HeaderModel(_Model):
    arrays: dict[ArrayName, EntryModel]


class ShardModel(_HeaderModel):
    """The header of a shard."""

    kind: Literal["shard"]
    stage: Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
    index: Annotated[int, Field(ge=0, le=2**31)]
    model: Label
    manifest_key: Label
    numerics: dict[str, Any]
    provenance: dict[str, Any]


class DatasetModel(_HeaderModel):
    """The header of a dataset."""

    kind: Literal["dataset"]
    content_key: Key
    inputs_key: Label
    n_missing: Annotated[int, Field(ge=0, le=2**31)]


HEADERS: TypeAdapter[ShardModel | DatasetModel] = TypeAdapter(
    Annotated[ShardModel | DatasetModel, Field(discriminator="kind")]
)


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


def encode_header(kind: str, values: Mapping[str, Any], entries: Mapping[str, ArrayEntry]) -> bytes:
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
    return len(encode_header(kind, values, widest))


def decode_header(content: bytes | bytearray, checksum: str, source: str) -> dict[str, Any]:
    """Return the checked header; its "arrays" become {name: ArrayEntry}.

    Raises RefusedError, naming `source`, where it is damaged, foreign or of a newer format, or
    where a member is of another type than the format says.
    """
    if hashlib.sha256(content).hexdigest() != checksum:
        raise RefusedError("F02", f"{source} is damaged: the checksum of its header does not match")
    try:
        value = parse_json(content)
    except ValueError as error:
        raise RefusedError("F02", f"{source} has a header that is not JSON ({error})") from error
    _check_version(value, source)
    try:
        checked = HEADERS.validate_python(value)
        entries = {name: _entry(name, entry) for name, entry in checked.arrays.items()}
    except ValidationError as error:
        said = "; ".join(explained(error, ("header",), told=TOLD)[:3])
        raise RefusedError("F02", f"{source} has a header that is malformed: {said}") from None
    except ValueError as error:
        raise RefusedError(
            "F02", f"{source} has a header with a wrong array entry ({error})"
        ) from None
    return {**value, "arrays": entries}


def _check_version(value: Any, source: str) -> None:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise RefusedError("F02", f"{source} is not a file of {FORMAT}")
    version = value.get("version")
    # type(), since True is an int to isinstance.
    if not (isinstance(version, list) and [type(part) for part in version] == [int, int]):
        raise RefusedError("F02", f"{source} does not say which version of the format it has")
    if version[0] != FORMAT_MAJOR:
        raise RefusedError(
            "F02",
            f"{source} has format version {version[0]}.{version[1]}, this program reads "
            f"{FORMAT_MAJOR}.x",
            hint="Install the version of panic_hpc that wrote it, or a newer one",
        )


def _entry(name: str, value: EntryModel) -> ArrayEntry:
    shape, dtype = tuple(value.shape), np.dtype(value.dtype)
    # Without the axes of length 0: numpy refuses (0, 2**62) too.
    if prod(size for size in shape if size) * dtype.itemsize > _LARGEST_OFFSET:
        raise ValueError(f"{name} has shape {shape}")
    if (value.sha256 is None) == (value.blocks is None):
        raise ValueError(f"{name} must have either sha256 or blocks")
    entry = ArrayEntry(value.dtype, shape, value.offset, tuple(value.sha256 or ()))
    if value.blocks is not None:
        first, last = value.blocks
        if first > last:
            raise ValueError(f"{name} has blocks {first} to {last}")
        return replace(entry, blocks=(first, last))
    if len(entry.sha256) != (expected := n_blocks(entry.nbytes)):
        raise ValueError(f"{name} has {len(entry.sha256)} checksums, not {expected}")
    return entry
