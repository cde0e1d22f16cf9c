"""Long lists that lie on disk: in memory are the items that were asked for last, and no others."""

import os
import pickle
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar, overload

from panic_hpc.closing import Closing
from panic_hpc.disk import system
from panic_hpc.disk.blocks import read_bytes, write_at

# Pickled together, so that what items have in common is there once.
BATCH_ITEMS = 16
# Room for some threads that go through the list, each at its own place.
CACHED_BATCHES = 16

T = TypeVar("T")


class Spool(Closing, Sequence[T]):
    """A list that grows at its end and keeps what it is given, pickled, in a file without a name.

    The file lies in the folder of `path`, or in the nearest above it that is there, and where that
    is not to be written to, in the system's folder for temporary files. It is gone once this is
    closed, or its process killed. When all is appended, threads may read at the same time.
    DiskError where the disk is full or no folder can be written to; all that is left then is to
    close it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _unnamed_file(path)
        self._places = array("q", [0])
        self._last: list[T] = []
        self._batch = lru_cache(CACHED_BATCHES)(self._read)

    def append(self, item: T) -> None:
        """Take an item; what is done to it later is not kept."""
        self._last.append(item)
        if len(self._last) == BATCH_ITEMS:
            content = pickle.dumps(self._last, pickle.HIGHEST_PROTOCOL)
            with system.named(self._path):
                write_at(self._descriptor, memoryview(content), self._places[-1])
            self._places.append(self._places[-1] + len(content))
            self._last = []

    def __len__(self) -> int:
        return BATCH_ITEMS * (len(self._places) - 1) + len(self._last)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number, place = divmod(range(len(self))[index], BATCH_ITEMS)
        return (self._last if number == len(self._places) - 1 else self._batch(number))[place]

    def __iter__(self) -> Iterator[T]:
        return (self[number] for number in range(len(self)))

    def _read(self, number: int) -> list[T]:
        start, stop = self._places[number : number + 2]
        name = f"the temporary file for {self._path}"
        found: list[T] = pickle.loads(read_bytes(self._descriptor, stop - start, start, name))
        return found

    def close(self) -> None:
        """Let go of the file, and of the items."""
        self._batch.cache_clear()
        self._places, self._last = array("q", [0]), []
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _unnamed_file(path: Path) -> int:
    """Return the descriptor of a new file that has no name any more."""
    folder = next(one for one in path.absolute().parents if one.is_dir())
    # Not at once in the system's folder: on nodes without a disk that is memory.
    with suppress(OSError), TemporaryFile(dir=folder) as beside:
        return os.dup(beside.fileno())
    with system.named(path), TemporaryFile() as elsewhere:
        return os.dup(elsewhere.fileno())
