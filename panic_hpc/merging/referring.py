"""Leaving pictures in their shards: the tables by which a dataset refers to them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import block_spans
from panic_hpc.errors import PanicError
from panic_hpc.merging.inputs import opened
from panic_hpc.merging.layout import Table
from panic_hpc.merging.run_sources import MISSING, Source
from panic_hpc.store.format import ragged
from panic_hpc.store.format.references import OFFSET, PATHS, SHA256, START


def reference_arrays(
    tables: Sequence[Table], sources: Sequence[Source], folder: Path
) -> dict[str, NDArray[Any]]:
    """Return the tables of references; PanicError where a shard is not below `folder`.

    Digests are those that shards have of their own blocks; only of a shard that is taken in part
    bytes are read.
    """
    pieces = [piece for table in tables for name in table.stays for piece in _pieces(table, name)]
    found = [_located(sources[number], name, span) for name, number, span in pieces]
    offsets, values = ragged.pack_texts([_below(path, folder) for path, _, _, _ in found])
    digests = [digest for *_, sha256 in found for digest in sha256]
    return {
        START: ragged.offsets_of(length for _, _, length, _ in found),
        OFFSET: np.array([place for _, place, _, _ in found], np.int64),
        f"{PATHS}/offsets": offsets,
        f"{PATHS}/values": values,
        SHA256: np.array(digests, "S64"),
    }


def _pieces(table: Table, name: str) -> Iterator[tuple[str, int, tuple[int, int]]]:
    """Yield (array, number of the source, rows) of each part that has any."""
    if name not in table.columns:
        return
    for place, part in enumerate(table.parts):
        first, last = table.span(table.columns[name].rows, place)
        if part.source != MISSING and last > first:
            yield name, part.source, (first, last)


def _located(source: Source, name: str, span: tuple[int, int]) -> tuple[str, int, int, list[str]]:
    entry = source.entries[name]
    first, last = span
    place, length = entry.offset + first * entry.row_bytes, (last - first) * entry.row_bytes
    if length == entry.nbytes:
        return source.path, place, length, list(entry.sha256)
    with opened(source) as file:
        # Before new digests vouch for these bytes.
        file.check_bytes(name, place, place + length)
        sha256 = [file.sha256(place + start, size) for start, size in block_spans(length)]
    return source.path, place, length, sha256


def _below(path: str, folder: Path) -> str:
    try:
        return Path(path).resolve().relative_to(folder.resolve()).as_posix()
    except ValueError as error:
        is_link = Path(path).absolute().is_relative_to(folder.absolute())
        place = f"{path} leads to {Path(path).resolve()}, which" if is_link else path
        way = "" if is_link else "leave --output out, or "
        raise PanicError(
            f"{place} is not below {folder.resolve()}, where the dataset is to be",
            hint=f"A dataset refers to shards below its own folder only: {way}merge with "
            "--images copy",
        ) from error
