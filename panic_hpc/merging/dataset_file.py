"""Begin and finish a dataset file: its layout before, its tables and header after the copying."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc import clock
from panic_hpc.disk.blocks import BlockSums, block_spans, require_space, reserve, writing
from panic_hpc.disk.publish import publish_over, remove_stale
from panic_hpc.merging.layout import ArrayPlan
from panic_hpc.store.dataset.schema import CHECKSUMS, HEADER, REFERENCES, TABLES, kind_columns
from panic_hpc.store.format import hdf5
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.file_digest import write_digest
from panic_hpc.store.format.header import DATASET, ArrayEntry, encode_header, reserved_bytes
from panic_hpc.store.format.reader import ArrayFile, OpenArrays
from panic_hpc.store.format.shard import Arrays, hdf5_attributes, write_array, write_header
from panic_hpc.store.results.base import kind_of, runs_kind
from panic_hpc.versions import own_version

_UNKNOWN_SHA256 = "0" * 64


@dataclass(frozen=True, slots=True)
class Contents:
    """What a dataset has of its own: tables, values of the header, its stages and models."""

    own: Arrays
    values: Mapping[str, Any]
    parts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Draft:
    """A dataset in the making: where its arrays lie, the header's values, the tables written."""

    path: Path
    places: Mapping[str, int]
    values: Mapping[str, Any]
    own: Mapping[str, ArrayEntry]
    header_bytes: int


def begin(path: Path, target: Path, contents: Contents, arrays: Mapping[str, ArrayPlan]) -> Draft:
    """Lay `path` out, to be published as `target`, and write the tables that no shard has.

    DiskError where space is short. What killed merges left is removed, or named where it may be
    another's work.
    """
    unfinished = remove_stale(target)
    own, values = contents.own, contents.values
    entries = {
        name: _unwritten(np.dtype(array.dtype).str, array.shape) for name, array in own.items()
    }
    entries |= _planned(arrays)
    reserved = reserved_bytes(DATASET, values, entries)
    total = sum(entry.nbytes for entry in entries.values()) + reserved
    require_space(path.parent, total, "The dataset", unfinished)
    layout = {name: (entry.dtype, entry.shape) for name, entry in entries.items()}
    layout[hdf5.HEADER] = ("|u1", (reserved,))
    layout[hdf5.HEADER_SHA256] = ("S64", ())
    columns = {name: c for name, c in dataset_columns(contents.parts).items() if name in layout}
    places = hdf5.lay_out_file(path, layout, hdf5_attributes(DATASET), columns)
    with writing(path) as descriptor:
        # HDF5 leaves a hole. Given at once, blocks lie together, and a disk that fills up says so
        # before anything is copied.
        reserve(descriptor, os.fstat(descriptor).st_size)
        written = {
            name: write_array(descriptor, places[name], array, name) for name, array in own.items()
        }
    return Draft(path, places, values, written, reserved)


def made() -> dict[str, Any]:
    """Return when and by what a dataset is made."""
    now = clock.utc().isoformat(timespec="seconds")
    return {"created": now, "software": f"panic-hpc {own_version()}"}


def dataset_columns(parts: Sequence[tuple[str, str]]) -> dict[str, Column]:
    """Return {name: column} of all that a dataset of these stages and models may hold."""
    columns = [HEADER, *TABLES, *REFERENCES, *runs_kind().added_columns(""), *CHECKSUMS]
    for stage, model in parts:
        columns += kind_columns(kind_of(stage), model)
    return {column.name: column for column in columns}


def _unwritten(dtype: str, shape: tuple[int, ...]) -> ArrayEntry:
    empty = ArrayEntry(dtype, shape, 0)
    return replace(empty, sha256=(_UNKNOWN_SHA256,) * sum(1 for _ in block_spans(empty.nbytes)))


def _planned(arrays: Mapping[str, ArrayPlan]) -> dict[str, ArrayEntry]:
    n_blocks = max((array.blocks[1] for array in arrays.values()), default=0)
    checksums = {c.name: _unwritten(np.dtype(c.dtype).str, (n_blocks,)) for c in CHECKSUMS}
    return checksums | {
        name: ArrayEntry(np.dtype(array.dtype).str, array.shape, 0, blocks=array.blocks)
        for name, array in arrays.items()
    }


def finish(draft: Draft, arrays: Mapping[str, ArrayPlan], target: Path) -> None:
    """Write the header, re-open and check what is not checked yet, and publish over `target`."""
    entries = {
        name: replace(entry, offset=draft.places[name]) for name, entry in _planned(arrays).items()
    }
    with writing(draft.path) as descriptor:
        written = OpenArrays(draft.path, descriptor, entries)
        for column in CHECKSUMS:
            pieces = written.pieces(column.name, 0, written.rows(column.name))
            entries[column.name] = _summed(pieces, entries[column.name])
        content = encode_header(DATASET, draft.values, {**draft.own, **entries})
        write_header(descriptor, draft.places, content.ljust(draft.header_bytes))
    with ArrayFile(draft.path) as file:
        # Arrays from shards were compared while they were copied.
        for name in (*draft.own, *(column.name for column in CHECKSUMS)):
            file.check(name)
        # Before the rename: it has entries for both datasets, so that a reader finds that of
        # either.
        write_digest(file, target)
    publish_over(draft.path, target)


def _summed(pieces: Iterable[memoryview], entry: ArrayEntry) -> ArrayEntry:
    sums = BlockSums()
    for piece in pieces:
        sums.update(piece)
    return replace(entry, sha256=tuple(sums.finish()))
