"""The digest file beside a dataset: what the bytes of the file are that belong to no array.

Together with the checksums of the arrays it covers every byte. It has an entry for the dataset that
was there before, so that neither is ever without one while one replaces the other.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.errors import AbsentError, PanicError
from panic_hpc.store.format.header import Sha256
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.validation.record import Count, read_record

DIGEST_FORMAT: Literal["panic_hpc digest"] = "panic_hpc digest"
# An entry has about 200 bytes, and there are two.
_LIMIT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class RestDigest:
    """The size of a file and the SHA-256 of its bytes that are no array's."""

    size: Count
    rest_sha256: Sha256


@dataclass(frozen=True, slots=True)
class DigestFile:
    """A digest file: an entry for each version of the dataset, by its header's SHA-256."""

    format: Literal["panic_hpc digest"]
    files: dict[Sha256, RestDigest]


def digest_path(path: Path) -> Path:
    """Return where the digest file of the dataset `path` is."""
    return path.with_name(f"{path.name}.digest")


def rest_spans(file: ArrayFile) -> Iterator[tuple[int, int]]:
    """Yield (first, one after the last) byte of each stretch of the file that is no array's."""
    at = 0
    for entry in sorted(file.entries.values(), key=lambda entry: entry.offset):
        # Empty arrays all say offset 0, which is the file's own signature.
        if entry.nbytes:
            if at < entry.offset:
                yield at, entry.offset
            at = entry.offset + entry.nbytes
    if at < file.size:
        yield at, file.size


def rest_digest(file: ArrayFile) -> RestDigest:
    """Return what the bytes are that belong to no array."""
    hasher = hashlib.sha256()
    for start, stop in rest_spans(file):
        for piece in file.byte_pieces(start, stop):
            hasher.update(piece)
    return RestDigest(file.size, hasher.hexdigest())


def write_digest(file: ArrayFile, path: Path) -> None:
    """Add the entry of `file`, which is going to be `path`, to the digest file there."""
    kept = {}
    if path.exists():
        try:
            with ArrayFile(path) as before:
                kept = {before.header_sha256: _known(path)[before.header_sha256]}
        # Nothing is to be vouched for of a predecessor that is damaged or has no entry.
        except (PanicError, KeyError):
            kept = {}
    entries = kept | {file.header_sha256: rest_digest(file)}
    replace_file(digest_path(path), to_json(asdict(DigestFile(DIGEST_FORMAT, entries))))


def _known(path: Path) -> dict[str, RestDigest]:
    return read_record(DigestFile, digest_path(path), limit=_LIMIT_BYTES).files


def digest_problem(file: ArrayFile) -> str:
    """Return what is wrong between `file` and the digest file beside it, "" for nothing or none."""
    try:
        expected = _known(file.path).get(file.header_sha256)
    except AbsentError:
        return ""
    except PanicError as error:
        return f"its digest file cannot be read: {error.message}"
    if expected is None:
        return f"{digest_path(file.path).name} is about another version of it"
    return "" if rest_digest(file) == expected else "bytes outside of its arrays were changed"
