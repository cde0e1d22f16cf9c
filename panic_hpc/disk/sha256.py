"""SHA-256 of many messages: side by side where the processor can that, by hashlib elsewhere."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from panic_hpc.disk.blocks import read_bytes
from panic_hpc.extras import compiled

PIECE_BYTES = 256 * 1024
"""What is read at once: it is still in the processor's cache when it is hashed."""
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of an open file: `nbytes` from `place` on; `name` is the file's, for errors."""

    descriptor: int
    place: int
    nbytes: int
    name: str

    def __iter__(self) -> Iterator[memoryview]:
        for start in range(0, self.nbytes, PIECE_BYTES):
            length = min(PIECE_BYTES, self.nbytes - start)
            yield memoryview(read_bytes(self.descriptor, length, self.place + start, self.name))


Part = bytes | memoryview | Iterable[memoryview]
"""Bytes of a message. Those of an iterable that is no Span lie in several files."""
Message = Sequence[Part]


def sha256_each(messages: Sequence[Message]) -> Iterator[str]:
    """Yield the SHA-256 of each message, its parts one after the other, in order.

    Sixteen go side by side, and the last ones have too few beside them: give them by the hundred.
    ShardError where a file is too short, DiskError where it cannot be read.
    """
    given = [_addressed(message) for message in messages]
    many = [message for message in given if message is not None]
    native = find_native()
    # One alone gains nothing.
    found = native.digests(many) if native and len(many) > 1 else None
    # None also where a file could not be read: hashlib's way says which, and why.
    digests = iter(range(0, len(found or b""), _DIGEST_BYTES))
    for message, addressed in zip(messages, given, strict=True):
        if found is None or addressed is None:
            yield _alone(message)
        else:
            start = next(digests)
            yield found[start : start + _DIGEST_BYTES].hex()


def _addressed(message: Message) -> list[Any] | None:
    """Return a message as the native module takes it; None where it has parts in several files."""
    if not all(isinstance(part, bytes | memoryview | Span) for part in message):
        return None
    return [
        (part.descriptor, part.place, part.nbytes) if isinstance(part, Span) else part
        for part in message
    ]


def _alone(message: Message) -> str:
    hasher = hashlib.sha256()
    for part in message:
        for piece in (part,) if isinstance(part, bytes | memoryview) else part:
            hasher.update(piece)
    return hasher.hexdigest()


@cache
def find_native() -> ModuleType | None:
    """Return the compiled module; None without one, or on a processor that gains nothing by it."""
    native = compiled("panic_hpc.disk._sha256")
    return native if native and native.kernel_names() else None
