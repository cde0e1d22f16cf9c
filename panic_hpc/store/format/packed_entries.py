"""Where the arrays of many shards lie, in a tenth of the memory that their headers take."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from struct import Struct
from typing import Any

from panic_hpc.disk.blocks import n_blocks
from panic_hpc.store.format.header import ArrayEntry

Layout = tuple[tuple[str, str, tuple[int, ...]], ...]
"""An array each: its name, its dtype, and the sizes of its axes but the first."""
_NUMBERS = Struct("<qqq")
_SHA256_BYTES = 32


class PackedEntries(Mapping[str, ArrayEntry]):
    """Entries by name, each made when it is asked for; all arrays have a first axis.

    Holds 24 bytes an array and 32 a block; shards of one layout share its names and dtypes.
    """

    __slots__ = ("_numbers", "_places", "_sums")

    def __init__(self, layout: Layout, numbers: bytes, sums: bytes) -> None:
        """Take an array's offset, rows and first block in `numbers`, all digests in `sums`."""
        self._places, self._numbers, self._sums = _places(layout), numbers, sums

    def __reduce__(self) -> tuple[Any, ...]:
        layout = tuple((name, *rest) for name, (_, *rest) in self._places.items())
        return PackedEntries, (layout, self._numbers, self._sums)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> ArrayEntry:
        place, dtype, trailing = self._places[name]
        offset, rows, block = _NUMBERS.unpack_from(self._numbers, _NUMBERS.size * place)
        entry = ArrayEntry(dtype, (rows, *trailing), offset)
        sha256 = tuple(map(self._sha256, range(block, block + n_blocks(entry.nbytes))))
        return ArrayEntry(dtype, entry.shape, offset, sha256)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape, for a tenth of what its entry takes to make."""
        place, _, trailing = self._places[name]
        _, rows, _ = _NUMBERS.unpack_from(self._numbers, _NUMBERS.size * place)
        return (rows, *trailing)

    def _sha256(self, block: int) -> str:
        start = _SHA256_BYTES * block
        return self._sums[start : start + _SHA256_BYTES].hex()


def pack(entries: Mapping[str, ArrayEntry]) -> Mapping[str, ArrayEntry]:
    """Return equal entries in little memory; those of a file with a checksums table as they are."""
    every = entries.values()
    if any(entry.blocks is not None or not entry.shape for entry in every):
        return entries
    layout = tuple((name, entry.dtype, entry.shape[1:]) for name, entry in entries.items())
    blocks = accumulate((len(entry.sha256) for entry in every), initial=0)
    numbers = (
        _NUMBERS.pack(one.offset, one.shape[0], block)
        for one, block in zip(every, blocks, strict=False)
    )
    sums = (bytes.fromhex(sha256) for entry in every for sha256 in entry.sha256)
    return PackedEntries(layout, b"".join(numbers), b"".join(sums))


def shape_of(entries: Mapping[str, ArrayEntry], name: str) -> tuple[int, ...]:
    """Return the shape of the array `name`."""
    return entries.shape(name) if isinstance(entries, PackedEntries) else entries[name].shape


@lru_cache(maxsize=1024)
def _places(layout: Layout) -> Mapping[str, tuple[int, str, tuple[int, ...]]]:
    """Return each array's place among the others and what the layout says of it, by name."""
    return {name: (place, dtype, axes) for place, (name, dtype, axes) in enumerate(layout)}
