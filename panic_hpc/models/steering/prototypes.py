"""Prototypes: the mean activations of two classes of prompts, by location, layer and pass.

A file is a plain .npz of little-endian numbers with one JSON header, read without pickle and
refused whole where anything in it is not as declared here:

    header                     uint8, JSON: `Header`
    <location>.<layer>.means   (2, P, D) float32: of the first class, of the second
    <location>.<layer>.spread  (P,) float64: mean variance of a component within the classes
    <location>.<layer>.weights (P, D) float32: of the linear discriminant, for the Mahalanobis gate
"""

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from panic_hpc.disk.files import read_regular
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ModelError
from panic_hpc.models.settings import CLOSED, first_problem

FORMAT = "panic-hpc prototypes"
VERSION = 1
MAX_BYTES = 4 * 2**30
MAX_ARRAYS = 30_000
_NAME = re.compile(r"(ffn|ca|block|text)\.(0|[1-9][0-9]{0,3})\.(means|spread|weights)\.npy")
_TYPES = {"means": "<f4", "spread": "<f8", "weights": "<f4"}

Text = Annotated[str, Field(max_length=4096)]


class Header(BaseModel):
    """What a file of prototypes says of itself.

    Attributes:
        model: The name that the model had, for people.
        weights: What decides the model's weights and passes; steered models must have the same.
        classes: The groups of prompts: steered away from, and towards.
        n_prompts, n_vectors: How many prompts, and activations of one place, are behind each class.
        source: The content key of the dataset.
    """

    model_config = CLOSED

    format: Literal["panic-hpc prototypes"] = "panic-hpc prototypes"
    version: Literal[1] = 1
    model: Text
    weights: dict[Text, Text | int | float | bool | None]
    classes: tuple[Text, Text]
    n_prompts: tuple[int, int]
    n_vectors: tuple[int, int]
    source: Text


class Prototype(NamedTuple):
    """The prototypes of both classes at one location and layer; see the module for the arrays."""

    means: NDArray[np.float32]
    spread: NDArray[np.float64]
    weights: NDArray[np.float32]

    @property
    def n_passes(self) -> int:
        """The number of passes."""
        return int(self.means.shape[1])


@dataclass(frozen=True)
class Prototypes:
    """A file of prototypes: its header, and prototypes by (location, layer)."""

    header: Header
    places: Mapping[tuple[str, int], Prototype]

    def layers(self, location: str) -> tuple[int, ...]:
        """Return the layers that a location has."""
        return tuple(sorted(layer for where, layer in self.places if where == location))

    @property
    def n_passes(self) -> int:
        """The number of passes of the denoiser; 0 where only text encoders were listened to."""
        counts = {p.n_passes for (where, _), p in self.places.items() if where != "text"}
        return max(counts, default=0)


def to_bytes(prototypes: Prototypes) -> bytes:
    """Return the file, the same bytes for the same prototypes."""
    header = prototypes.header.model_dump_json().encode()
    arrays = {"header": np.frombuffer(header, np.uint8)}
    for (location, layer), one in sorted(prototypes.places.items()):
        for name, array in one._asdict().items():
            arrays[f"{location}.{layer}.{name}"] = array.astype(_TYPES[name])
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def read_prototypes(path: Path) -> Prototypes:
    """Return the prototypes in a file; ModelError says why it is none."""
    try:
        return from_bytes(read_regular(path, MAX_BYTES))
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ModelError(
            f"{path} is no file of prototypes ({error})",
            hint="Make one: panic-hpc steer fit EXP --from A --to B -o FILE.npz",
        ) from error


def from_bytes(content: bytes) -> Prototypes:
    """Return the prototypes in a file's bytes; ValueError or BadZipFile where they are none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {info.filename: _array(archive, info) for info in _members(archive)}
    if "header.npy" not in arrays:
        raise ValueError("it has no header")
    header = _header(arrays.pop("header.npy"))
    found: dict[tuple[str, int], dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        told = _NAME.fullmatch(name)
        if told is None:
            raise ValueError(f"{name[:60]!r} is no array of prototypes")
        found.setdefault((told[1], int(told[2])), {})[told[3]] = array
    if not found:
        raise ValueError("it has no prototypes")
    places = {place: _prototype(place, own) for place, own in found.items()}
    passes = {one.n_passes for (where, _), one in places.items() if where != "text"}
    if len(passes) > 1:
        raise ValueError(f"its layers have different numbers of passes: {sorted(passes)}")
    return Prototypes(header, places)


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    names = {info.filename for info in members}
    if len(members) > MAX_ARRAYS or len(names) != len(members):
        raise ValueError("too many arrays, or one twice")
    # Stored and not compressed, as they are written: no file is larger in memory than on disk.
    if any(info.compress_type != zipfile.ZIP_STORED for info in members):
        raise ValueError("its arrays are compressed")
    return members


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Return one array; its claims on type and shape are held against the bytes there are."""
    content = archive.read(info)
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{info.filename[:60]!r} is of another version of numpy's format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    rest = memoryview(content)[stream.tell() :]
    if dtype.hasobject or is_fortran or dtype.str not in ("|u1", "<f4", "<f8"):
        raise ValueError(f"{info.filename[:60]!r} holds no plain numbers")
    if len(shape) > 3 or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(rest):
        raise ValueError(f"{info.filename[:60]!r} is not as long as it says")
    return np.frombuffer(rest, dtype).reshape(shape)


def _header(array: NDArray[Any]) -> Header:
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError("its header is no text")
    try:
        value = parse_json(array.tobytes())
        for name in ("classes", "n_prompts", "n_vectors"):
            value[name] = tuple(value[name])
        return Header.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"its header: {first_problem(error)}") from None
    except (KeyError, TypeError) as error:
        raise ValueError(f"its header lacks or garbles {error}") from None


def _prototype(place: tuple[str, int], arrays: Mapping[str, NDArray[Any]]) -> Prototype:
    where = f"{place[0]}.{place[1]}"
    if set(arrays) != set(_TYPES):
        raise ValueError(f"{where} has {', '.join(sorted(arrays))} alone")
    means = arrays["means"]
    if means.ndim != 3 or means.shape[0] != 2 or 0 in means.shape:
        raise ValueError(f"{where}.means is no (2, passes, components)")
    wanted = {"means": means.shape, "spread": means.shape[1:2], "weights": means.shape[1:]}
    for name, array in arrays.items():
        if array.shape != wanted[name] or array.dtype.str != _TYPES[name]:
            raise ValueError(f"{where}.{name} is {array.dtype} {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}.{name} has numbers that are not finite")
    return Prototype(means, arrays["spread"], arrays["weights"])
