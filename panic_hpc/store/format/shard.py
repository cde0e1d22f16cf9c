"""Shard files: whole, re-read and compared before they get their name, verified on opening."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import (
    BlockSums,
    block_spans,
    byte_view,
    require_space,
    write_at,
    writing,
)
from panic_hpc.disk.publish import publish_first, temporary_file
from panic_hpc.errors import ConflictError, ShardError
from panic_hpc.store.checks.structure import name_problems, row_problems
from panic_hpc.store.format import hdf5
from panic_hpc.store.format.digest import run_digests
from panic_hpc.store.format.header import SHARD, ArrayEntry, encode_header, reserved_bytes
from panic_hpc.store.format.reader import ArrayFile, OpenArrays
from panic_hpc.store.results.base import DIGEST, all_kinds, kind_of
from panic_hpc.store.results.section import Section

# As long as any checksum, so that the header's size is known before there is one.
_UNKNOWN_SHA256 = "0" * 64


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """What a shard is and where it comes from; `numerics` and `provenance` are JSON values."""

    stage: str
    index: int
    model: str
    manifest_key: str
    numerics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An array too large for memory: consecutive rows of `dtype`, `shape` rows in all."""

    dtype: str
    shape: tuple[int, ...]
    blocks: Iterable[NDArray[Any]]


Arrays = Mapping[str, "NDArray[Any] | Stream"]


class ShardFile(ArrayFile):
    """A published shard file whose every byte was verified when it was opened."""

    @property
    def shard_header(self) -> ShardHeader:
        """What the shard is and where it comes from."""
        return ShardHeader(**{name: self.header[name] for name in ShardHeader.__slots__})


def open_shard(path: Path, *, manifest_key: str = "", check: bool = True) -> ShardFile:
    """Open a shard file and, unless `check` is False, verify every byte of its arrays.

    Raises ShardError where it is missing, damaged, foreign, newer, or of another experiment than
    `manifest_key`.
    """
    shard = ShardFile(path)
    try:
        _require_shard(shard, manifest_key)
        if check:
            shard.check_all()
    except BaseException:
        shard.close()
        raise
    return shard


def in_words(problems: Iterable[tuple[str, str]]) -> str:
    """Return problems as one phrase."""
    return "; ".join(sentence for _, sentence in problems)


def _require_shard(shard: ShardFile, manifest_key: str) -> None:
    if shard.kind != SHARD:
        raise ShardError(f"{shard.path} is not a shard but a {shard.kind}")
    found = shard.header["manifest_key"]
    if manifest_key and found != manifest_key:
        raise ShardError(
            f"{shard.path} belongs to another experiment (manifest {found}, not {manifest_key})",
            hint="Put it back where it came from",
        )
    arrays = {name: (entry.dtype, entry.shape) for name, entry in shard.entries.items()}
    stage = str(shard.header["stage"])
    if stage not in all_kinds():
        raise ShardError(f"{shard.path} is of stage {stage!r}, which nothing installed declares")
    problems = [p for p in name_problems(kind_of(stage), arrays) if p[0] != "F05"]
    if problems:
        raise ShardError(f"{shard.path} is malformed: {in_words(problems)}")


def publish_shard(path: Path, header: ShardHeader, arrays: Arrays) -> bool:
    """Publish a shard of `arrays` by name; `runs/digest` is made here and must not be given.

    True where this call published it, False where the same content was there already. Raises
    ShardError where the arrays contradict the schema or each other, ConflictError where another
    content has the name, DiskError where the disk is full or fails.
    """
    with temporary_file(path) as temporary:
        _write(temporary, header, arrays)
        # Sync and rename are not enough: with h5py writing, a write that failed once let 7 of 18
        # files through with a wrong array (8 kB each) and no error.
        with open_shard(temporary, manifest_key=header.manifest_key) as written:
            if publish_first(temporary, path):
                return True
            _require_same(written, path)
            return False


def _require_same(written: ShardFile, path: Path) -> None:
    with open_shard(path) as published:
        # By digests: times and hosts of two workers of one shard differ, and are no conflict.
        if np.array_equal(published.array(DIGEST.name), written.array(DIGEST.name)):
            return
        raise ConflictError(
            f"{path} exists with other content: made by {published.header['numerics']}, "
            f"now by {written.header['numerics']}"
        )


def _write(temporary: Path, header: ShardHeader, arrays: Arrays) -> None:
    entries = _planned(temporary, header, arrays)
    values = asdict(header)
    reserved = reserved_bytes(SHARD, values, entries)
    total = sum(entry.nbytes for entry in entries.values()) + reserved
    require_space(temporary.parent, total, f"Shard {header.stage} {header.index}")
    layout = {name: (entry.dtype, entry.shape) for name, entry in entries.items()}
    layout[hdf5.HEADER] = ("|u1", (reserved,))
    layout[hdf5.HEADER_SHA256] = ("S64", ())
    places = hdf5.lay_out_file(temporary, layout, hdf5_attributes(SHARD))
    with writing(temporary) as descriptor:
        for name, array in arrays.items():
            entries[name] = write_array(descriptor, places[name], array, name)
        # From the file: that is what will be read, and the blocks of a Stream are gone by now.
        digests = _digests(OpenArrays(temporary, descriptor, entries), header)
        entries[DIGEST.name] = write_array(descriptor, places[DIGEST.name], digests, DIGEST.name)
        content = encode_header(SHARD, values, entries).ljust(reserved)
        write_header(descriptor, places, content)


def hdf5_attributes(kind: str) -> dict[str, str]:
    """Return the root attributes that tell people what a file is."""
    return {"format": "panic_hpc", "format_version": "1.0", "kind": kind}


def write_header(descriptor: int, places: Mapping[str, int], content: bytes) -> None:
    """Write the header's bytes and their checksum to their places."""
    checksum = hashlib.sha256(content).hexdigest().encode()
    write_at(descriptor, memoryview(content), places[hdf5.HEADER])
    write_at(descriptor, memoryview(checksum), places[hdf5.HEADER_SHA256])


def _planned(temporary: Path, header: ShardHeader, arrays: Arrays) -> dict[str, ArrayEntry]:
    if DIGEST.name in arrays:
        raise ShardError(f"{DIGEST.name} is made when a shard is published, it cannot be given")
    if "runs/index" not in arrays:
        raise ShardError(f"{temporary.name}: runs/index is missing")
    shapes = {name: (np.dtype(a.dtype).str, tuple(a.shape)) for name, a in arrays.items()}
    shapes[DIGEST.name] = ("|S64", shapes["runs/index"][1])
    problems = list(name_problems(kind_of(header.stage), shapes))
    if problems:
        raise ShardError(f"{header.stage} {header.index} is malformed: {in_words(problems)}")
    return {name: _unwritten(dtype, shape) for name, (dtype, shape) in shapes.items()}


def _unwritten(dtype: str, shape: tuple[int, ...]) -> ArrayEntry:
    n_blocks = sum(1 for _ in block_spans(prod(shape) * np.dtype(dtype).itemsize))
    return ArrayEntry(dtype, shape, 0, (_UNKNOWN_SHA256,) * n_blocks)


def write_array(
    descriptor: int, place: int, array: "NDArray[Any] | Stream", name: str
) -> ArrayEntry:
    """Write an array to its place in an open file and return its entry, with its checksums.

    ShardError where a Stream gives other than it announced.
    """
    sums, at, dtype = BlockSums(), place, np.dtype(array.dtype)
    for block in array.blocks if isinstance(array, Stream) else (array,):
        if block.dtype != dtype:
            raise ShardError(f"{name} was announced as {dtype}, a block has {block.dtype}")
        data = byte_view(block)
        write_at(descriptor, data, at)
        sums.update(data)
        at += len(data)
    entry = ArrayEntry(dtype.str, tuple(array.shape), place, tuple(sums.finish()))
    if at - place != entry.nbytes:
        raise ShardError(f"{name} was announced with {entry.nbytes} bytes, {at - place} came")
    return entry


def _digests(written: OpenArrays, header: ShardHeader) -> NDArray[Any]:
    """Return the runs' digests; ShardError where the arrays contradict each other."""
    section = Section(written, kind_of(header.stage))
    problems = list(row_problems(section))
    if problems:
        raise ShardError(f"{header.stage} {header.index} is malformed: {in_words(problems)}")
    found = [digest.encode() for _, digest in run_digests(section)]
    return np.array(found, dtype="S64")
