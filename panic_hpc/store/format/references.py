"""Pictures that stayed in their shards: a dataset refers to them by file, place and digest.

The dataset then has no array ARRAY but four small tables of *pieces*: stretches of the array, each
of which lies in one file below the dataset's folder. Nothing that is read of a piece is believed
before the SHA-256 of the disk blocks that it lies in was compared.
"""

import hashlib
import os
import stat
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.blocks import block_spans, read_bytes
from panic_hpc.errors import PanicError, ShardError
from panic_hpc.store.format import ragged
from panic_hpc.store.format.header import ArrayEntry

if TYPE_CHECKING:
    from panic_hpc.store.format.reader import ArrayFile

ARRAY = "images/values"
"""The array whose bytes may stay where they are."""

START, OFFSET = "references/start", "references/offset"
SHA256 = "references/sha256"
PATHS = "references"
MAKE_WHOLE = "Make it whole first: panic-hpc dataset pack DATASET"

Block = tuple[Path, int, int, str]
"""A file, a place in it, a length, and the SHA-256 of what is there."""


@dataclass(frozen=True)
class References:
    """Where the bytes of ARRAY lie.

    Attributes:
        source: The dataset, for errors.
        folder: The one that all paths are below.
        paths: A file a piece, relative to the folder.
        starts: (n_pieces + 1,) where each piece begins in the array, and the end.
        offsets: (n_pieces,) first byte of each in its file.
        sha256: Digests of all pieces' disk blocks, in order.
    """

    source: Path
    folder: Path
    paths: Sequence[str]
    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sha256: Sequence[str]
    _verified: set[int] = field(default_factory=set)

    @property
    def entry(self) -> ArrayEntry:
        """The array as if it lay in the dataset, without a place."""
        return ArrayEntry("|u1", (int(self.starts[-1]),), 0)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return bytes `start` to `stop` of the array, verified; ShardError where they are wrong.

        A disk block is hashed once a process.
        """
        return np.frombuffer(b"".join(self._pieces(start, stop)), np.uint8)

    def _pieces(self, start: int, stop: int) -> Iterator[bytearray]:
        firsts, blocks = self.blocks
        for number in range(max(bisect_right(firsts, start) - 1, 0), bisect_left(firsts, stop)):
            first, block = firsts[number], blocks[number]
            path, place, length, _ = block
            low, high = max(start, first), min(stop, first + length)
            if low < high:
                if number not in self._verified:
                    self.require(block)
                    self._verified.add(number)
                with _opened(path, self.source) as descriptor:
                    where = place + low - first
                    yield read_bytes(descriptor, high - low, where, str(path))

    @cached_property
    def blocks(self) -> tuple[list[int], list[Block]]:
        """First bytes in the array of all disk blocks, in order, and the blocks."""
        firsts: list[int] = []
        blocks: list[Block] = []
        digests = iter(self.sha256)
        pieces = zip(self.paths, self.offsets.tolist(), pairwise(self.starts.tolist()), strict=True)
        for path, offset, (first, last) in pieces:
            whole = self.folder / path
            for start, length in block_spans(last - first):
                firsts.append(first + start)
                blocks.append((whole, offset + start, length, next(digests)))
        return firsts, blocks

    def require(self, block: Block) -> None:
        """Raise ShardError unless a block is whole, in a file that is below the folder."""
        path, place, length, sha256 = block
        with self.opened(path) as descriptor:
            content = read_bytes(descriptor, length, place, str(path))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ShardError(f"{path} is damaged, or is not the file that {self.source} refers to")

    @contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        """Give a descriptor of a file; ShardError where that is not below the folder."""
        # Links are followed, but not out of the folder.
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ShardError(f"{self.source} refers to {path}, which lies outside of its folder")
        with _opened(path, self.source) as descriptor:
            yield descriptor


@contextmanager
def _opened(path: Path, source: Path) -> Iterator[int]:
    """Give a descriptor of a file that is referred to; ShardError where it cannot be read."""
    try:
        # Nonblocking: a pipe that somebody put there would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ShardError(
            f"{source} refers to {path}, which cannot be read ({error.strerror})",
            hint="Move the dataset together with its shards, or make it whole first: "
            "panic-hpc dataset pack DATASET",
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ShardError(f"{source} refers to {path}, which is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def references_of(file: "ArrayFile") -> References | None:
    """Return what a dataset refers to, its tables verified; None where it holds its pictures.

    Raises ShardError where the tables contradict each other or a path could leave the folder.
    """
    if START not in file.entries or ARRAY in file.entries:
        return None
    starts, offsets = file.array(START), file.array(OFFSET)
    paths = ragged.unpack_texts(file.array(f"{PATHS}/offsets"), file.array(f"{PATHS}/values"))
    sha256 = [digest.decode("ascii", "replace") for digest in file.array(SHA256).tolist()]
    n_pieces = len(offsets)
    is_sound = (
        len(starts) == n_pieces + 1
        and len(paths) == n_pieces
        and starts[0] == 0
        and not np.any(np.diff(starts) < 0)
        and not np.any(offsets < 0)
        and len(sha256) == sum(1 for n in np.diff(starts).tolist() for _ in block_spans(n))
    )
    if not is_sound:
        raise ShardError(f"{file.path} has tables of references that contradict each other")
    for path in paths:
        require_below(path, file.path)
    return References(file.path, file.path.parent, paths, starts, offsets, sha256)


def require_whole(file: "ArrayFile") -> None:
    """Raise PanicError where a dataset refers to its pictures and whole files are needed."""
    if file.references:
        raise PanicError(f"{file.path} refers to pictures in other files", hint=MAKE_WHOLE)


def require_there(file: "ArrayFile") -> None:
    """Raise ShardError where a file that a dataset refers to cannot be read; contents are not.

    For those who go on without a picture that is none: all pictures at once are no such case.
    """
    references = file.references
    if references is None:
        return
    for path in dict.fromkeys(references.paths):
        with references.opened(references.folder / path):
            pass


def require_below(path: str, source: Path) -> None:
    """Raise ShardError where a path is not plain and relative: such as could leave the folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ShardError(f"{source} refers to {path!r}, which is no path below its folder")
