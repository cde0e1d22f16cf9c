"""Files that break the rules on purpose, with checksums that say nothing of it."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from panic_hpc.disk.blocks import block_spans
from panic_hpc.store.format import hdf5
from panic_hpc.store.format.file_digest import digest_path, write_digest
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.format.reader import ArrayFile

Change = Callable[[Any], Any]
WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**62,
    1.5,
    "",
    "i4,",
    "O",
    [],
    {},
    [None],
    ["x"],
    "\x1b[2J",
)
"""Values of every type of JSON, and of dtypes that NumPy reads as something else."""


def copied(source: Path, target: Path) -> Path:
    """Copy a file, and the digest file beside it, so that it can be changed."""
    shutil.copyfile(source, target)
    if digest_path(source).exists():
        shutil.copyfile(digest_path(source), digest_path(target))
    return target


def flip(path: Path, place: int) -> None:
    """Flip one bit of one byte."""
    with path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 16]))


def overwrite(path: Path, name: str, change: Change) -> None:
    """Change the values of an array in place, then make all checksums right again."""
    with ArrayFile(path) as file:
        entry = file.entry(name)
        values = change(file.slice(name, 0, file.rows(name)).copy())
    assert values.nbytes == entry.nbytes
    assert values.dtype == np.dtype(entry.dtype)
    with path.open("r+b") as stream:
        stream.seek(entry.offset)
        stream.write(values.tobytes())
    restamp(path)


def restamp(path: Path, change: Change = lambda header: header) -> None:
    """Make the checksums and digests of a changed file right, and change its header as told.

    The header may become shorter or keep its length, never longer.
    """
    place, size, checksum_place = hdf5.locate_header(path)
    raw = path.read_bytes()
    header = json.loads(raw[place : place + size])
    entries = {name: entry_of(value) for name, value in header["arrays"].items()}
    content = bytearray(raw)
    for entry in entries.values():
        if entry.blocks is not None:
            _restamp_rows(content, entries, entry)
    for name, entry in entries.items():
        if entry.blocks is None:
            header["arrays"][name]["sha256"] = _sums(content, entry)
    text = json.dumps(change(header), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    encoded = text.encode().ljust(size)
    assert len(encoded) == size
    content[place : place + size] = encoded
    checksum = hashlib.sha256(encoded).hexdigest().encode()
    content[checksum_place : checksum_place + 64] = checksum
    path.write_bytes(content)
    make_digest(path)


def make_digest(path: Path) -> None:
    """Make the digest file right, where there is one and the file can be opened."""
    if digest_path(path).exists():
        os.unlink(digest_path(path))
        try:
            with ArrayFile(path) as file:
                write_digest(file, path)
        except Exception:
            digest_path(path).write_text("{}")


def entry_of(value: Any) -> ArrayEntry:
    blocks = value.get("blocks")
    return ArrayEntry(
        value["dtype"],
        tuple(value["shape"]),
        value["offset"],
        tuple(value.get("sha256", ())),
        tuple(blocks) if blocks else None,
    )


def _sums(content: bytearray, entry: ArrayEntry) -> list[str]:
    return [
        hashlib.sha256(content[entry.offset + start : entry.offset + start + length]).hexdigest()
        for start, length in block_spans(entry.nbytes)
    ]


def _restamp_rows(content: bytearray, entries: dict[str, ArrayEntry], entry: ArrayEntry) -> None:
    assert entry.blocks is not None
    lengths, digests = entries["checksums/length"], entries["checksums/sha256"]
    at = entry.offset
    for row in range(*entry.blocks):
        place = lengths.offset + 8 * row
        length = int.from_bytes(content[place : place + 8], "little")
        digest = hashlib.sha256(content[at : at + length]).hexdigest().encode()
        content[digests.offset + 64 * row : digests.offset + 64 * row + 64] = digest
        at += length


def edit(path: Path, change: Callable[[h5py.File], None], redigest: bool = True) -> None:
    """Change the HDF5 structure of a file with h5py, as another program might."""
    with h5py.File(path, "r+", locking=False) as file:
        change(file)
    if redigest:
        make_digest(path)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value in a JSON value, itself included."""
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in inner:
        yield from places(item, (*place, key))


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Return `value` with `new` at a place; the key is taken out where `new` is the class Gone."""
    key, *rest = place
    if rest:
        return {**value, key: replaced(value[key], tuple(rest), new)}
    if new is Gone:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: new}


class Gone:
    """Stands for a key that is not there."""


def header_of(path: Path) -> Any:
    """Return the header of a file."""
    place, size, _ = hdf5.locate_header(path)
    return json.loads(path.read_bytes()[place : place + size])


def fits(path: Path, header: Any) -> bool:
    """Say whether a header is no longer than the room that the file has for it."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode()) <= hdf5.locate_header(path)[1]
