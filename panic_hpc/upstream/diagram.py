"""Upstream's persistence diagrams, decoded from what its two eras stored: .npz and Erlang terms."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.upstream import erlang_terms

_MOST_DIMENSIONS = 16
_MOST_BARS = 10**7
_INFINITIES = {"inf": np.inf, "infinity": np.inf, "-inf": -np.inf, "nan": np.nan}
Decoded = tuple[list[NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class UpstreamDiagram:
    """One result of upstream's persistent homology; `dgms` is None where it stored none."""

    model: str
    dgms: list[NDArray[np.float32]] | None
    entropy: NDArray[np.float64]
    seconds: float
    problem: str = ""


def read_diagram(
    model: str, content: bytes | None, seconds: float, decoded: Any
) -> UpstreamDiagram:
    """Return a stored diagram; one that cannot be decoded says so in its `problem`."""
    nothing = np.empty(0, np.float64)
    if content is None:
        problem = "upstream stored no diagram, which it did where memory ran out"
        return UpstreamDiagram(model, None, nothing, seconds, problem)
    try:
        dgms, entropy = decoded(content)
        return UpstreamDiagram(model, dgms, entropy, seconds)
    # What zip files, .npy heads and terms may hold is anybody's; none of it may end the import.
    except (
        PanicError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        AttributeError,
        OSError,
        EOFError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        return UpstreamDiagram(model, None, nothing, seconds, f"it cannot be decoded: {said}")


def from_npz(content: bytes) -> Decoded:
    """Return (diagrams, entropy) as upstream's Python stored them."""
    _require_small(content)
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("an array, not an archive of arrays")
        [count] = np.asarray(found["dgms_count"]).reshape(-1).tolist()
        if not isinstance(count, int) or not 0 <= count <= _MOST_DIMENSIONS:
            raise ValueError(f"{count!r} homology dimensions")
        dgms = [_bars(found[f"dgms_{place}"]) for place in range(count)]
        return dgms, _entropy(found["entropy"])


def _require_small(content: bytes) -> None:
    """Raise ValueError where an archive would inflate to more than a diagram can have."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        # Stored next to the content, so a lie; but zipfile reads no more than it says.
        if len(parts) > 2 + _MOST_DIMENSIONS or sum(p.file_size for p in parts) > _MOST_BARS * 8:
            raise ValueError("more than a diagram can have")
        for part in parts:
            # Before NumPy allocates what the head of an array claims.
            with archive.open(part) as stream:
                _require_honest_head(stream, part.file_size)


def _require_honest_head(stream: Any, size: int) -> None:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of .npy")
    shape, _, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "iuf":
        raise ValueError(f"an array of {dtype}")
    if any(axis < 0 for axis in shape) or prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array of shape {shape} in {size} bytes")


def from_term(content: bytes) -> Decoded:
    """Return (diagrams, entropy) as upstream's Elixir stored them."""
    value = erlang_terms.decode_term(content)
    if not isinstance(value, dict) or not isinstance(value.get("dgms"), list):
        raise ValueError("no map with dgms")
    if len(value["dgms"]) > _MOST_DIMENSIONS:
        raise ValueError(f"{len(value['dgms'])} homology dimensions")
    dgms = [_bars([[_number(end) for end in bar] for bar in dgm]) for dgm in value["dgms"]]
    return dgms, _entropy([_number(one) for one in value["entropy"]])


def _bars(values: Any) -> NDArray[np.float32]:
    found = np.asarray(values, np.float32)
    if found.size and (found.ndim != 2 or found.shape[1] != 2):
        raise ValueError(f"bars of shape {found.shape}")
    return found.reshape(-1, 2)


def _entropy(values: Any) -> NDArray[np.float64]:
    found = np.asarray(values, np.float64).reshape(-1)
    if len(found) > _MOST_DIMENSIONS:
        raise ValueError(f"{len(found)} entropies")
    return found


def _number(value: Any) -> float:
    """Return a number that Erlang, which has no infinity, may hold as a word."""
    if isinstance(value, str):
        return _INFINITIES[value.lower()]
    if not isinstance(value, int | float):
        raise ValueError(f"{type(value).__name__} in the place of a number")
    return float(value)
