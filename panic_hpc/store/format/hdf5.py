"""The door to h5py: lays files out and finds the header; bytes of arrays never pass through it.

HDF5 is given empty, early-allocated, contiguous arrays and tells where they lie in the file; their
bytes are written and read by position. A failed write is then an OSError at the call that failed,
not one that h5py swallows when it closes an object.
"""

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from panic_hpc.disk.system import sync
from panic_hpc.errors import ASK_ITS_OWNER, DiskError, ShardError
from panic_hpc.store.checks.rules import RefusedError
from panic_hpc.store.format.column import Column
from panic_hpc.store.format.netcdf import describe_all

HEADER = "header"
HEADER_SHA256 = "header_sha256"
# Smaller arrays are packed: beginning each at a page would leave mostly gaps.
_ALIGN_ABOVE = 64 * 1024
_ALIGNMENT = 4096


def forget_plugins() -> None:
    """Make HDF5 unable to load filters from files, whatever the environment says."""
    # A filter number in a file makes HDF5 load and run a library from its plugin path.
    while h5py.h5pl.size() > 0:
        h5py.h5pl.remove(0)


forget_plugins()


def lay_out_file(
    path: Path,
    arrays: Mapping[str, tuple[str, tuple[int, ...]]],
    attributes: Mapping[str, str],
    columns: Mapping[str, Column] | None = None,
) -> dict[str, int]:
    """Create `path` with an empty contiguous array a name and return where each begins.

    `arrays` maps names to (dtype, shape); `columns` are described by attributes. Empty arrays
    begin at 0. The file is flushed and synced; DiskError where any of that fails.
    """
    try:
        with _new_file(path) as file:
            for name, text in attributes.items():
                file.attrs[name] = text
            for name, (dtype, shape) in arrays.items():
                _create(file, name, np.dtype(dtype), shape)
            if columns is not None:
                describe_all(file, columns)
            file.flush()
            # The writing descriptor: a failed write-back is told to those that were open when it
            # happened.
            sync(file.id.get_vfd_handle())
            # None for an array without bytes.
            return {name: file[name].id.get_offset() or 0 for name in arrays}
    # h5py chooses the exception by HDF5's class of error, so a full disk can be any of them.
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise DiskError(f"{path} cannot be laid out ({error})") from error


def _new_file(path: Path) -> h5py.File:
    return h5py.File(
        path,
        "x",
        # The default writes metadata without checksums; the upper bound keeps HDF5 1.10 able to
        # read.
        libver=("v110", "v110"),
        alignment_threshold=_ALIGN_ABOVE,
        alignment_interval=_ALIGNMENT,
        # Nobody else knows the name, and Lustre mounted without flock refuses locks.
        locking=False,
    )


def _create(file: h5py.File, name: str, dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> None:
    group = file.require_group(name.rpartition("/")[0] or "/")
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    # Else HDF5 gives an array its place at the first write, which never passes through HDF5 here.
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    # Else every byte is written twice, the first time as zero.
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    # Times of creation would make equal content different bytes.
    creation.set_obj_track_times(False)
    h5py.h5d.create(
        group.id,
        name.rpartition("/")[2].encode(),
        h5py.h5t.py_create(dtype, logical=True),
        h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR),
        dcpl=creation,
    )


def open_read(path: Path) -> h5py.File:
    """Open a published file for reading; ShardError where it is absent or not HDF5."""
    require_regular(path)
    try:
        return _open_unlocked(path)
    except FileNotFoundError as error:
        raise ShardError(f"{path} does not exist") from error
    except PermissionError as error:
        # Not HDF5's own words, which are two lines.
        raise ShardError(
            f"{path} may not be read ({os.strerror(errno.EACCES)})", hint=ASK_ITS_OWNER
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise ShardError(f"{path} cannot be opened: too many files are open") from error
        raise RefusedError("F01", f"{path} is not a readable HDF5 file ({reason})") from error


def require_regular(path: Path) -> None:
    """Raise RefusedError where `path` is there and no regular file: opening a FIFO waits."""
    try:
        mode = path.stat().st_mode
    # Opening it gives the reason.
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        raise RefusedError("F01", f"{path} is not a regular file")


def _open_unlocked(path: Path) -> h5py.File:
    """Open without a lock; as the library would where this process has the file open already."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")


def locate_header(path: Path) -> tuple[int, int, int]:
    """Return where the header begins, its size, and where its checksum begins.

    Opens these two names and nothing else.
    """
    with open_read(path) as file:
        try:
            # Of the HDF Group's 137 hostile files (HDFGroup/cve_hdf5) 4 killed h5py 3.16 that
            # walked all of them, none one that opened two names.
            header = plain_dataset(file, HEADER)
            checksum = plain_dataset(file, HEADER_SHA256)
            if header.dtype != np.uint8 or header.ndim != 1 or checksum.dtype != np.dtype("S64"):
                raise ValueError("its header has another type")
            return header.id.get_offset() or 0, header.size, checksum.id.get_offset() or 0
        except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
            raise RefusedError("F01", f"{path} is not a file of panic_hpc ({error})") from error


Wanted = Mapping[str, tuple[str, tuple[int, ...], int]]
"""By name: dtype, shape, and the first byte, 0 for an empty array."""


def disagreements(path: Path, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield (name, reason) of the arrays that HDF5 shows otherwise than `wanted` says."""
    with open_read(path) as file:
        for name, (dtype, shape, place) in wanted.items():
            try:
                dataset = plain_dataset(file, name)
                found = (dataset.dtype, dataset.shape, dataset.id.get_offset() or 0)
            except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
                yield name, str(error)
                continue
            if found != (np.dtype(dtype), shape, place):
                yield name, f"HDF5 has {found}, the header {(dtype, shape, place)}"


def strangers(path: Path, known: Collection[str]) -> Iterator[str]:
    """Yield the names of objects that are neither in `known` nor groups that lead to these.

    Lists the links of known groups only and opens nothing else.
    """
    groups = {""} | {
        name.rsplit("/", depth)[0] for name in known for depth in range(1, name.count("/") + 1)
    }
    with open_read(path) as file:
        for group in sorted(groups):
            for name in _link_names(file, group):
                full = f"{group}/{name}" if group else name
                if full not in known and full not in groups:
                    yield full


def _link_names(file: h5py.File, group: str) -> list[str]:
    """Return what a group holds; nothing where it is no group of this file or cannot be read."""
    try:
        # Asked of the link, before anything that it may point to is opened.
        if group and not isinstance(file.get(group, getlink=True), h5py.HardLink):
            return []
        holder = file[group or "/"]
        return list(holder) if isinstance(holder, h5py.Group) else []
    # TypeError for a link of a kind that h5py does not know.
    except (KeyError, OSError, RuntimeError, ValueError, TypeError):
        return []


def plain_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Return the dataset `name` if its bytes lie in this file, contiguous and unfiltered.

    Raises KeyError where there is none, ValueError where it is or lies behind anything else: soft
    and external links, external storage, virtual sources, chunks, filters.
    """
    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        # Each part of the way: HDF5 follows external links into other files without a word.
        link = file.get("/".join(parts[:depth]), getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} is not where it should be but behind a link")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is not an array")
    creation = dataset.id.get_create_plist()
    # A virtual dataset whose source is missing reads as the fill value, without an error.
    if creation.get_layout() != h5py.h5d.CONTIGUOUS:
        raise ValueError(f"{name} is not contiguous")
    # External storage may name any file that the user can read.
    if creation.get_external_count() or creation.get_nfilters():
        raise ValueError(f"{name} is stored outside of the file or filtered")
    return dataset
