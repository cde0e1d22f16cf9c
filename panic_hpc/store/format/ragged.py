"""Items of different length as flat values and offsets."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def offsets_of(lengths: Iterable[int] | NDArray[Any]) -> NDArray[np.int64]:
    """Return where items of these lengths begin, and where the last one ends: (n + 1,) int64."""
    if not isinstance(lengths, np.ndarray):
        lengths = np.fromiter(lengths, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def pack(items: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return (offsets, values) of byte strings."""
    values = np.frombuffer(b"".join(items), dtype=np.uint8)
    return offsets_of(len(item) for item in items), values


def pack_texts(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return (offsets, values) of texts in UTF-8; lone surrogates survive."""
    return pack([text.encode("utf-8", "surrogatepass") for text in texts])


def unpack(offsets: NDArray[np.int64], values: NDArray[np.uint8]) -> list[bytes]:
    """Return the byte strings again; `offsets` may begin anywhere, `values` at its first."""
    edges = (offsets - offsets[0]).tolist() if len(offsets) else []
    content = values.tobytes()
    return [content[start:stop] for start, stop in pairwise(edges)]


def unpack_texts(offsets: NDArray[np.int64], values: NDArray[np.uint8]) -> list[str]:
    """Return the texts again."""
    return [item.decode("utf-8", "surrogatepass") for item in unpack(offsets, values)]
