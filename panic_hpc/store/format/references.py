"""Pictures that stayed in their shards: a dataset refers to them by file, place and digest.

The dataset then has no array ARRAY but four small tables of *pieces*: stretches of the array, each
of which lies in one file below the dataset's folder. Nothing that is read of a piece is believed
before the SHA-256 of the disk blocks that it lies in was compared.
"""

import hashlib
import os
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

from panic_hpc.disk.blocks import block_spans, n_blocks, read_bytes
from panic_hpc.disk.files import regular_descriptor, version_of
from panic_hpc.errors import ASK_ITS_OWNER, AwayError, DiskError, PanicError, ShardError
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

_MOST_BYTES = 2**62
"""Of a file: what is added to a place below it is still a place for the system."""

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
        missed: Files that were asked for and found away, damaged or another one, as in `paths`.
    """

    source: Path
    folder: Path
    paths: Sequence[str]
    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sha256: Sequence[str]
    missed: set[str] = field(default_factory=set)
    _verified: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def entry(self) -> ArrayEntry:
        """The array as if it lay in the dataset, without a place."""
        return ArrayEntry("|u1", (int(self.starts[-1]),), 0)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return bytes `start` to `stop` of the array, verified; AwayError where they are wrong.

        A disk block is hashed once a process, and again where its file was replaced or changed.
        """
        return np.frombuffer(b"".join(self._pieces(start, stop)), np.uint8)

    def _pieces(self, start: int, stop: int) -> Iterator[bytearray]:
        firsts, blocks = self.blocks
        for number in range(max(bisect_right(firsts, start) - 1, 0), bisect_left(firsts, stop)):
            first, block = firsts[number], blocks[number]
            path, place, length, _ = block
            low, high = max(start, first), min(stop, first + length)
            if low < high:
                with self.opened(path) as descriptor:
                    version = version_of(descriptor)
                    if self._verified.get(number) != version:
                        self._require(descriptor, block)
                        self._verified[number] = version
                    yield self._read(descriptor, path, place + low - first, high - low)

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
        """Raise AwayError unless a block is whole, in a file that is below the folder."""
        with self.opened(block[0]) as descriptor:
            self._require(descriptor, block)

    def _require(self, descriptor: int, block: Block) -> None:
        path, place, length, sha256 = block
        if hashlib.sha256(self._read(descriptor, path, place, length)).hexdigest() != sha256:
            raise self.another(path)

    def _read(self, descriptor: int, path: Path, place: int, nbytes: int) -> bytearray:
        try:
            return read_bytes(descriptor, nbytes, place, str(path))
        except ShardError as error:
            raise self.another(path) from error
        except DiskError as error:
            raise self._away(path, f"cannot be read: {error}") from error

    @contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        """Give a descriptor of a file; AwayError where there is none below the folder."""
        # Links are followed, but not out of the folder. Not Path.resolve, which raises at a loop.
        leads_to = Path(os.path.realpath(path))
        if not leads_to.is_relative_to(os.path.realpath(self.folder)):
            self._note(path)
            raise AwayError(
                f"{self.source} refers to {path}, which leads to {leads_to}, outside of its folder",
                hint="Bring the file itself there, or merge with pictures: panic-hpc merge EXP "
                "--images copy",
            )
        try:
            descriptor = regular_descriptor(path)
        except OSError as error:
            hint = ASK_ITS_OWNER if isinstance(error, PermissionError) else ""
            raise self._away(path, f"cannot be read ({error.strerror})", hint) from error
        except ValueError as error:
            raise self._away(path, "is no regular file") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def has(self, path: str) -> bool:
        """Say whether a file is there to be opened; its contents are not read."""
        try:
            with self.opened(self.folder / path):
                return True
        except AwayError:
            return False

    def another(self, path: Path) -> AwayError:
        """Return the error for a file whose bytes are not those that are referred to."""
        self._note(path)
        return AwayError(
            f"{path} is damaged, or is not the file that {self.source} refers to",
            hint="Put back the file of that time, or make the dataset anew: panic-hpc merge EXP "
            "--images reference",
        )

    def _away(self, path: Path, what: str, hint: str = "") -> AwayError:
        self._note(path)
        return AwayError(
            f"{self.source} refers to {path}, which {what}",
            hint=hint
            or "Put that file back; or type panic-hpc dataset pack DATASET where its shards are, "
            "and bring what that makes",
        )

    def _note(self, path: Path) -> None:
        self.missed.add(path.relative_to(self.folder).as_posix())


def references_of(file: "ArrayFile") -> References | None:
    """Return what a dataset refers to, its tables verified; None where it holds its pictures.

    Raises ShardError where the tables contradict each other or a path could leave the folder.
    """
    if START not in file.entries or ARRAY in file.entries:
        return None
    starts, offsets = file.array(START), file.array(OFFSET)
    paths = ragged.unpack_texts(file.array(f"{PATHS}/offsets"), file.array(f"{PATHS}/values"))
    sha256 = [digest.decode("ascii", "replace") for digest in file.array(SHA256).tolist()]
    if not _fit(starts, offsets, paths, sha256):
        raise ShardError(f"{file.path} has tables of references that contradict each other")
    for path in paths:
        require_below(path, file.path)
    # Of the file itself: a link to a dataset lies elsewhere than the shards do.
    folder = Path(os.path.realpath(file.path)).parent
    return References(file.path, folder, paths, starts, offsets, sha256)


def _fit(
    starts: NDArray[np.int64],
    offsets: NDArray[np.int64],
    paths: Sequence[str],
    sha256: Sequence[str],
) -> bool:
    """Say whether tables of references are as many as each other say, and name possible places."""
    n_pieces = len(offsets)
    if not (len(starts) == n_pieces + 1 and len(paths) == n_pieces and starts[0] == 0):
        return False
    lengths = np.diff(starts)
    if np.any(lengths < 0) or np.any(offsets < 0):
        return False
    # Counted and not walked through: a forged length has any number of blocks.
    if len(sha256) != sum(map(n_blocks, lengths.tolist())):
        return False
    return not n_pieces or bool(offsets.max() < _MOST_BYTES and starts[-1] < _MOST_BYTES)


def require_whole(file: "ArrayFile") -> None:
    """Raise PanicError where a dataset refers to its pictures and whole files are needed."""
    if file.references:
        raise PanicError(f"{file.path} refers to pictures in other files", hint=MAKE_WHOLE)


def require_there(file: "ArrayFile") -> None:
    """Raise AwayError where a file that a dataset refers to is not there; contents are not read.

    For those who would find out half-way.
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
    is_plain = bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
    if not (is_plain and _is_a_name(path)):
        raise ShardError(f"{source} refers to {path!r}, which is no path below its folder")


def _is_a_name(path: str) -> bool:
    try:
        os.fsencode(path)
    # Half a surrogate pair: no file has such a name.
    except UnicodeEncodeError:
        return False
    return True
