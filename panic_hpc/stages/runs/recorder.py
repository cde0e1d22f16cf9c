"""Encoding and journal writing, in threads behind the model calls.

What a lossless codec stores is what it was given, so the next model reads that at once while it is
encoded, decoded and compared behind it. A lossy one is waited for: the next model reads what was
decoded. Either way it reads what is stored, and a difference ends the work.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from panic_hpc import clock
from panic_hpc.closing import Closing
from panic_hpc.errors import ConflictError
from panic_hpc.models.base import Output
from panic_hpc.stages.codecs.base import Codec, readable_at_once
from panic_hpc.stages.throttle import Slowest, Throttle
from panic_hpc.store.journal import Journal, JournalRecord
from panic_hpc.store.results.runs import INPUT_TRUNCATED, NOT_KEPT, OUTPUT_EMPTY, OUTPUT_TRUNCATED


class Item(NamedTuple):
    """A model's answer for one run; `is_kept` says whether its output belongs into the shard."""

    position: int
    output: Output
    is_kept: bool


@dataclass(frozen=True, slots=True)
class CallResult:
    """One model call: what it gave, which runs it failed, when, how long and how much an item.

    `joules` is None where no GPU counts them.
    """

    step: int
    items: Sequence[Item]
    failed: Sequence[tuple[int, str]]
    started: float
    seconds: float
    joules: float | None = None


class HandedOn(NamedTuple):
    """An output as the next model reads it."""

    value: Any
    digest: str


class Encoded(NamedTuple):
    """An output as stored."""

    content: bytes
    handed_on: HandedOn


@dataclass(frozen=True, slots=True)
class Submitted:
    """A call under way into the journal: what the next models read by the run's position, soon,
    and the record, later."""

    handed_on: Mapping[int, "Future[HandedOn]"]
    record: "Future[JournalRecord]"


class Recorder(Closing):
    """Encodes, decodes, compares and journals call results in order of submission.

    `slowest` has the longest time that making the journal durable took, `latest` the longest from
    a submission to its record. `n_threads` encode; Pillow releases the GIL while it does.
    """

    def __init__(
        self, journal: Journal, option: str, interval_s: float, n_threads: int = 1
    ) -> None:
        self.journal = journal
        self.option = option
        self.slowest, self.latest = Slowest(), Slowest()
        self._pace = Throttle(interval_s)
        self._codec_threads = ThreadPoolExecutor(n_threads, "encode")
        # Threads of their own: the next call waits for digests (1 ms each at 512²), which must not
        # queue behind encoding (40 ms each).
        self._digest_threads = ThreadPoolExecutor(n_threads, "digest")
        # One, since the order of records is the order of calls, and resuming replays it.
        self._writer_thread = ThreadPoolExecutor(1, "journal")
        self._is_broken = False

    def submit(self, result: CallResult, codec: Codec) -> Submitted:
        """Start encoding and writing; the record's future fails where one of these does."""
        pairs = [self._start(item.output.value, codec) for item in result.items]
        handed_on = {
            item.position: early for item, (early, _) in zip(result.items, pairs, strict=True)
        }
        encoding = [late for _, late in pairs]
        written = self._writer_thread.submit(self._write, result, encoding, clock.monotonic())
        return Submitted(handed_on, written)

    def _start(self, value: Any, codec: Codec) -> "tuple[Future[HandedOn], Future[Encoded]]":
        readable = readable_at_once(codec, value, self.option)
        if readable is None:
            decoded: Future[HandedOn] = Future()
            return decoded, self._codec_threads.submit(
                _encode_and_hand_on, value, codec, self.option, decoded
            )
        early = self._digest_threads.submit(_hand_on, readable, codec)
        return early, self._codec_threads.submit(_encode_and_compare, codec, self.option, early)

    def _write(
        self, result: CallResult, encoding: "list[Future[Encoded]]", submitted: float
    ) -> JournalRecord:
        # Resuming takes a record for the run's next step: behind a lost one there must be none.
        if self._is_broken:
            raise ConflictError("An earlier record of this shard could not be written")
        try:
            record = self._append(result, [future.result() for future in encoding])
        except BaseException:
            self._is_broken = True
            raise
        self.latest.note(clock.monotonic() - submitted)
        return record

    def _append(self, result: CallResult, encoded: Sequence[Encoded]) -> JournalRecord:
        pairs = list(zip(result.items, encoded, strict=True))
        value = {
            "step": result.step,
            "started": result.started,
            "seconds": result.seconds,
            **({} if result.joules is None else {"joules": result.joules}),
            "rows": [_row(item, one) for item, one in pairs],
            "failed": [list(failure) for failure in result.failed],
        }
        record = self.journal.append(value, [one.content for item, one in pairs if item.is_kept])
        if self._pace.is_due():
            self.commit()
        return record

    def commit(self) -> None:
        """Make durable what is written."""
        with self.slowest.timed():
            self.journal.commit()

    def close(self) -> None:
        """Finish what is under way and make it durable, whatever ended the work."""
        for threads in (self._digest_threads, self._codec_threads, self._writer_thread):
            threads.shutdown()
        self.commit()


def _hand_on(value: Any, codec: Codec) -> HandedOn:
    return HandedOn(value, codec.digest(value))


def _encode_and_compare(codec: Codec, option: str, early: "Future[HandedOn]") -> Encoded:
    """Return what is stored of a value that was handed on; ConflictError where it is another."""
    handed_on = early.result()
    content = codec.encode(handed_on.value, option)
    # Promise 5: the next model reads what is stored.
    if codec.digest(codec.decode(content)) != handed_on.digest:
        raise ConflictError(
            f"What was stored of an output ({option}) is not what the next model read",
            hint="A library changed it or its encoder is broken; retry with another [images] codec",
        )
    return Encoded(content, handed_on)


def _encode_and_hand_on(
    value: Any, codec: Codec, option: str, decoded: "Future[HandedOn]"
) -> Encoded:
    """Return what is stored of a value, and hand on what is decoded of it."""
    try:
        content = codec.encode(value, option)
        handed_on = _hand_on(codec.decode(content), codec)
    except BaseException as error:
        decoded.set_exception(error)
        raise
    decoded.set_result(handed_on)
    return Encoded(content, handed_on)


def _row(item: Item, encoded: Encoded) -> list[Any]:
    output = item.output
    counts = (output.input_tokens, output.output_tokens)
    flags = _flags(item, encoded)
    return [item.position, encoded.handed_on.digest, *counts, flags, item.is_kept]


def _flags(item: Item, encoded: Encoded) -> int:
    return (
        INPUT_TRUNCATED * item.output.input_truncated
        | OUTPUT_TRUNCATED * item.output.output_truncated
        | NOT_KEPT * (not item.is_kept)
        | OUTPUT_EMPTY * (not encoded.content)
    )
