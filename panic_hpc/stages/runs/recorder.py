"""Encoding and journal writing, in threads beside the model calls."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from panic_hpc.closing import Closing
from panic_hpc.models.base import Output
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.stages.throttle import Slowest, Throttle
from panic_hpc.store.journal import Journal, JournalRecord
from panic_hpc.store.results.runs import INPUT_TRUNCATED, NOT_KEPT, OUTPUT_EMPTY, OUTPUT_TRUNCATED

# Pillow releases the GIL while it encodes. One core keeps up with 40 images of 1024 by 1024 a
# second, so more would only take cores from CPU models.
CODEC_THREADS = 4


class Item(NamedTuple):
    """A model's answer for one run; `is_kept` says whether its output belongs into the shard."""

    position: int
    output: Output
    is_kept: bool


@dataclass(frozen=True, slots=True)
class CallResult:
    """One model call: what it gave, which runs it failed, when and how long an item."""

    step: int
    items: Sequence[Item]
    failed: Sequence[tuple[int, str]]
    started: float
    seconds: float


class Encoded(NamedTuple):
    """An output as stored, and as the next model reads it."""

    content: bytes
    value: Any
    digest: str


class Recorded(NamedTuple):
    """A journal record, and what the next models read by the run's position."""

    record: JournalRecord
    values: dict[int, Any]


class Recorder(Closing):
    """Encodes, decodes and journals call results in order of submission.

    `slowest` has the longest time that making the journal durable took.
    """

    def __init__(self, journal: Journal, option: str, interval_s: float) -> None:
        self.journal = journal
        self.option = option
        self.slowest = Slowest()
        self._pace = Throttle(interval_s)
        self._codec_threads = ThreadPoolExecutor(CODEC_THREADS, "encode")
        # One, since the order of records is the order of calls, and resuming replays it.
        self._writer_thread = ThreadPoolExecutor(1, "journal")

    def submit(self, result: CallResult, codec: Codec) -> "Future[Recorded]":
        """Start encoding and writing; the future fails where one of these does."""
        encoding = [
            self._codec_threads.submit(_encode, item.output.value, codec, self.option)
            for item in result.items
        ]
        return self._writer_thread.submit(self._write, result, encoding)

    def _write(self, result: CallResult, encoding: "list[Future[Encoded]]") -> Recorded:
        # In the writer's thread, so that the caller never waits for an encoder.
        encoded = [future.result() for future in encoding]
        pairs = list(zip(result.items, encoded, strict=True))
        value = {
            "step": result.step,
            "started": result.started,
            "seconds": result.seconds,
            "rows": [_row(item, one) for item, one in pairs],
            "failed": [list(failure) for failure in result.failed],
        }
        record = self.journal.append(value, [one.content for item, one in pairs if item.is_kept])
        if self._pace.is_due():
            self.commit()
        return Recorded(record, {item.position: one.value for item, one in pairs})

    def commit(self) -> None:
        """Make durable what is written."""
        with self.slowest.timed():
            self.journal.commit()

    def close(self) -> None:
        """Finish what is under way and make it durable, whatever ended the work."""
        self._codec_threads.shutdown()
        self._writer_thread.shutdown()
        self.commit()


def _encode(value: Any, codec: Codec, option: str) -> Encoded:
    content = codec.encode(value, option)
    # Promise 5: the next model reads what is stored, and a codec that lost something would show in
    # the digest.
    decoded = codec.decode(content)
    return Encoded(content, decoded, codec.digest(decoded))


def _row(item: Item, encoded: Encoded) -> list[Any]:
    output = item.output
    counts = (output.input_tokens, output.output_tokens)
    return [item.position, encoded.digest, *counts, _flags(item, encoded), item.is_kept]


def _flags(item: Item, encoded: Encoded) -> int:
    return (
        INPUT_TRUNCATED * item.output.input_truncated
        | OUTPUT_TRUNCATED * item.output.output_truncated
        | NOT_KEPT * (not item.is_kept)
        | OUTPUT_EMPTY * (not encoded.content)
    )
