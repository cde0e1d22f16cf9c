"""The checkpoint of a shard in progress: an append-only file of checksummed records.

A record is a JSON value and any number of byte strings (`blobs`). A kill can tear the last record
only; opening keeps the whole records, in a new file, so that a writer that was thought dead and is
not goes on writing to a file that nobody reads.

    b"PANICJ01"  then records:  length of JSON u32 · number of blobs u32 · their lengths u64 each
                                · JSON · blobs · first 16 bytes of the SHA-256 of all of that
The first record is the journal's own: manifest key, stage, shard, model, numerics class.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc.closing import Closing
from panic_hpc.disk import system
from panic_hpc.disk.blocks import read_bytes, require_space, write_at
from panic_hpc.disk.directories import make_directory
from panic_hpc.disk.publish import rename_over
from panic_hpc.errors import NumericsError, ShardError
from panic_hpc.keys import canonical_json
from panic_hpc.store.format.shard import ShardHeader

MAGIC = b"PANICJ01"
_HEAD = struct.Struct("<II")
# Against tearing, not forgery: half of a SHA-256 is plenty.
_CHECKSUM_BYTES = 16
_COPY_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Blob:
    """Where a byte string lies in the journal; `Journal.read` returns it."""

    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One record: its JSON value, and its byte strings by place."""

    value: Any
    blobs: tuple[Blob, ...]


class Journal(Closing):
    """A journal open for appending; `records` are those found, then those appended.

    `numerics` lists the numerics classes the shard was worked on in, in order: one, unless
    another was allowed.
    """

    def __init__(self, path: Path, descriptor: int, records: list[JournalRecord], end: int) -> None:
        self.path = path
        self.numerics = [r.value["numerics"] for r in records if _is_own(r, records)]
        self.records = [r for r in records if not _is_own(r, records)]
        self._descriptor = descriptor
        self._end = end

    def append(self, value: Any, blobs: Sequence[bytes] = ()) -> JournalRecord:
        """Add a record; it survives a kill of this process, and one of the machine after `commit`.

        DiskError where the disk is full or fails; the journal then still ends in whole records.
        """
        record = self._append(value, blobs)
        self.records.append(record)
        return record

    def _append(self, value: Any, blobs: Sequence[bytes]) -> JournalRecord:
        content, starts = _encode(value, blobs)
        with system.named(self.path):
            write_at(self._descriptor, memoryview(content), self._end)
        # Moved only now: the next record overwrites whatever a failed write left.
        begin = self._end
        self._end += len(content)
        places = zip(starts, blobs, strict=True)
        return JournalRecord(value, tuple(Blob(begin + start, len(blob)) for start, blob in places))

    def commit(self) -> None:
        """Make all records durable; DiskError where that fails, never to be tried again.

        DiskError too, once they are durable, where the disk has no room to publish them: their
        shard's file will hold them again, and to fill the disk would take hours and end the same.
        """
        with system.named(self.path):
            system.sync(self._descriptor)
        require_space(self.path.parent, self._end, f"What {self.path.name} holds, to be published,")

    def read(self, blob: Blob) -> bytes:
        """Return a byte string of a record."""
        return bytes(read_bytes(self._descriptor, blob.nbytes, blob.offset, str(self.path)))

    def close(self) -> None:
        """Close the file; the records stay."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Close and delete the journal: its shard is published."""
        self.close()
        system.remove(self.path)


def open_journal(path: Path, header: ShardHeader, *, allow_other_numerics: bool = False) -> Journal:
    """Continue the journal at `path`, or begin one; `provenance` of the header is not kept.

    Raises ShardError where it belongs to another shard or experiment, NumericsError where it was
    begun in another numerics class and that is not allowed.
    """
    make_directory(path.parent)
    with system.named(path):
        temporary = system.temporary_beside(path)
        return _opened(path, temporary, header, allow_other_numerics)


def _opened(
    path: Path, temporary: Path, header: ShardHeader, allow_other_numerics: bool
) -> Journal:
    descriptor = system.create(temporary, 0o644)
    try:
        records, end = _carry_over(path, descriptor)
        journal = Journal(path, descriptor, records, end)
        _introduce(journal, records, header, allow_other_numerics)
        # Before the rename: the name must never lose records that were durable under the old file.
        journal.commit()
        rename_over(temporary, path)
        return journal
    except BaseException:
        os.close(descriptor)
        system.remove(temporary)
        raise


def _introduce(
    journal: Journal, found: list[JournalRecord], header: ShardHeader, allow_other_numerics: bool
) -> None:
    own = _own_value(header)
    if not found:
        journal._append(own, ())
        journal.numerics.append(own["numerics"])
        return
    _require_same_shard(found[0].value, own, journal.path)
    if journal.numerics[-1] == own["numerics"]:
        return
    if not allow_other_numerics:
        raise NumericsError(
            f"{journal.path} was begun in another numerics class: "
            f"{_differences(journal.numerics[-1], own['numerics'])}",
            hint="Continue it there, or submit with --allow-other-numerics, which is recorded",
        )
    journal._append({"numerics": own["numerics"]}, ())
    journal.numerics.append(own["numerics"])


def _own_value(header: ShardHeader) -> dict[str, Any]:
    value = {
        "manifest_key": header.manifest_key,
        "stage": header.stage,
        "index": header.index,
        "model": header.model,
        "numerics": header.numerics,
    }
    result: dict[str, Any] = json.loads(canonical_json(value))
    return result


def _require_same_shard(found: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    for name in ("manifest_key", "stage", "index", "model"):
        if found.get(name) != own[name]:
            raise ShardError(
                f"{path} belongs to another shard: its {name} is {found.get(name)!r}, "
                f"not {own[name]!r}",
                hint=f"Move it away: mv {path} {path}.other",
            )


def _differences(before: Any, now: Any) -> str:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return f"{before!r}, now {now!r}"
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return "; ".join(f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in names)


def _is_own(record: JournalRecord, records: Sequence[JournalRecord]) -> bool:
    """Whether a record is the journal's own: its first, or a change of numerics class."""
    value = record.value
    return record is records[0] or (isinstance(value, dict) and value.keys() == {"numerics"})


def _encode(value: Any, blobs: Sequence[bytes]) -> tuple[bytes, list[int]]:
    text = canonical_json(value).encode("utf-8", "surrogatepass")
    lengths = [len(blob) for blob in blobs]
    head = _HEAD.pack(len(text), len(blobs)) + struct.pack(f"<{len(blobs)}Q", *lengths)
    first = len(head) + len(text)
    starts = [first + sum(lengths[:place]) for place in range(len(lengths))]
    body = b"".join([head, text, *blobs])
    return body + hashlib.sha256(body).digest()[:_CHECKSUM_BYTES], starts


def _carry_over(path: Path, descriptor: int) -> tuple[list[JournalRecord], int]:
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        write_at(descriptor, memoryview(MAGIC), 0)
        return [], len(MAGIC)
    try:
        records, end = _whole_records(source, path)
        for place in range(0, end, _COPY_BYTES):
            data = read_bytes(source, min(_COPY_BYTES, end - place), place, str(path))
            write_at(descriptor, memoryview(data), place)
        return records, end
    finally:
        os.close(source)


def _whole_records(source: int, path: Path) -> tuple[list[JournalRecord], int]:
    size = os.fstat(source).st_size
    if size < len(MAGIC) or read_bytes(source, len(MAGIC), 0, str(path)) != MAGIC:
        raise ShardError(f"{path} is not a journal", hint=f"Move it away: mv {path} {path}.other")
    records, end = [], len(MAGIC)
    for record, stop in _scan(source, end, size, str(path)):
        records.append(record)
        end = stop
    return records, end


def _scan(source: int, place: int, size: int, name: str) -> Iterator[tuple[JournalRecord, int]]:
    """Yield (record, its end) until one is torn."""
    while place + _HEAD.size <= size:
        text_bytes, n_blobs = _HEAD.unpack(read_bytes(source, _HEAD.size, place, name))
        table = place + _HEAD.size
        text = table + 8 * n_blobs
        # A torn head can announce four thousand million blobs: not read before the file is long
        # enough.
        if text > size:
            return
        lengths = struct.unpack(f"<{n_blobs}Q", read_bytes(source, 8 * n_blobs, table, name))
        stop = text + text_bytes + sum(lengths) + _CHECKSUM_BYTES
        if stop > size:
            return
        # One record in memory at a time, and only the places of its blobs are kept.
        body = read_bytes(source, stop - place - _CHECKSUM_BYTES, place, name)
        checksum = read_bytes(source, _CHECKSUM_BYTES, stop - _CHECKSUM_BYTES, name)
        if hashlib.sha256(body).digest()[:_CHECKSUM_BYTES] != checksum:
            return
        value = json.loads(
            body[text - place : text - place + text_bytes].decode("utf-8", "surrogatepass")
        )
        yield JournalRecord(value, tuple(_blobs(text + text_bytes, lengths))), stop
        place = stop


def _blobs(place: int, lengths: Sequence[int]) -> Iterator[Blob]:
    for length in lengths:
        yield Blob(place, length)
        place += length
