"""The recorder: what the next model reads is what is stored, in order, and nothing is lost."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panic_hpc.errors import ConflictError
from panic_hpc.models.base import Output
from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.stages.runs.recorder import CallResult, Item, Recorder
from panic_hpc.store.format.shard import ShardHeader
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.store.results.runs import NOT_KEPT


class Coarse(ImageCodec):
    """A codec that loses the low bits, and says so by having nothing to be read at once."""

    readable_at_once: Any = None

    def encode(self, value: np.ndarray, option: str) -> bytes:
        return super().encode(value & 0xF0, option)


class Lying(ImageCodec):
    """A codec that says it is lossless and changes one pixel of one picture in three."""

    def encode(self, value: np.ndarray, option: str) -> bytes:
        changed = value.copy()
        changed[0, 0, 0] += value[0, 0, 0] % 3 == 0
        return super().encode(changed, option)


class Waiting(ImageCodec):
    """A codec that encodes once it is told to."""

    def __init__(self) -> None:
        self.may_encode = threading.Event()

    def encode(self, value: np.ndarray, option: str) -> bytes:
        assert self.may_encode.wait(60)
        return super().encode(value, option)


class Broken(ImageCodec):
    def encode(self, value: Any, option: str) -> bytes:
        raise OSError("the disk is full")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return open_journal(tmp_path / "a.journal", ShardHeader("runs", 0, "", "key"))


def result(*kept: bool) -> CallResult:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in kept]
    items = [
        Item(place, Output(p), k) for place, (p, k) in enumerate(zip(pictures, kept, strict=True))
    ]
    return CallResult(3, items, [(9, "bad")], 1.0, 0.5)


def test_the_next_model_reads_what_a_lossy_codec_stores(journal: Journal) -> None:
    call = result(True)
    with Recorder(journal, "png", 60.0) as recorder:
        submitted = recorder.submit(call, Coarse())
        value = submitted.handed_on[0].result().value
        record = submitted.record.result()
    assert np.array_equal(value, call.items[0].output.value & 0xF0)
    assert np.array_equal(value, Coarse().decode(journal.read(record.blobs[0])))


@pytest.mark.long
@pytest.mark.parametrize("option", ["webp-lossless", "png", "avif-1", "avif-75", "avif-100"])
@pytest.mark.parametrize("kind", ["noise", "waves"])
def test_pictures_of_4096_are_read_as_they_are_stored(
    journal: Journal, option: str, kind: str
) -> None:
    """Of noise a picture takes up to 63 MB, more than its pixels."""
    side, codec, rng = 4096, ImageCodec(), np.random.default_rng(1)
    waves = 120 + 100 * np.sin(np.arange(side) / 97)[:, None, None] * np.ones((side, side, 3))
    pixels = rng.integers(0, 256, waves.shape) if kind == "noise" else waves
    value = pixels.astype(np.uint8)
    with Recorder(journal, option, 60.0, n_threads=2) as recorder:
        call = CallResult(0, [Item(0, Output(value), True)], [], 1.0, 0.5)
        submitted = recorder.submit(call, codec)
        handed_on = submitted.handed_on[0].result()
        record = submitted.record.result()
    stored = codec.decode(journal.read(record.blobs[0]))
    assert np.array_equal(stored, handed_on.value)
    assert record.value["rows"][0][1] == codec.digest(stored) == handed_on.digest
    is_lossless = codec.readable_at_once(value, option) is not None
    assert np.array_equal(stored, value) or not is_lossless


def test_the_next_model_reads_a_lossless_output_before_it_is_encoded(journal: Journal) -> None:
    call, codec = result(True, True), Waiting()
    with Recorder(journal, "webp-lossless", 60.0) as recorder:
        submitted = recorder.submit(call, codec)
        values = [submitted.handed_on[place].result().value for place in (0, 1)]
        assert not submitted.record.done()
        assert not any(value.flags.writeable for value in values)
        codec.may_encode.set()
        record = submitted.record.result()
    for place, value in enumerate(values):
        assert np.array_equal(value, codec.decode(journal.read(record.blobs[place])))
        assert record.value["rows"][place][1] == codec.digest(value)


def test_what_is_stored_otherwise_than_read_ends_the_work(journal: Journal) -> None:
    with Recorder(journal, "png", 60.0) as recorder:
        calls = [recorder.submit(result(True, True, True), Lying())]
        calls.append(recorder.submit(result(True), ImageCodec()))
        with pytest.raises(ConflictError, match="is not what the next model read"):
            calls[0].record.result()
        # The record behind it would be taken for the step of the lost one.
        with pytest.raises(ConflictError, match="could not be written"):
            calls[1].record.result()
    assert journal.records == []


def test_a_model_that_changes_what_it_reads_ends_the_work(journal: Journal) -> None:
    call, codec = result(True), Waiting()
    with Recorder(journal, "png", 60.0) as recorder:
        submitted = recorder.submit(call, codec)
        submitted.handed_on[0].result()
        call.items[0].output.value[2, 3] += 1
        codec.may_encode.set()
        with pytest.raises(ConflictError):
            submitted.record.result()


def test_what_is_not_kept_is_flagged_and_not_stored(journal: Journal) -> None:
    with Recorder(journal, "png", 60.0) as recorder:
        submitted = recorder.submit(result(True, False, True), ImageCodec())
        record = submitted.record.result()
    assert sorted(submitted.handed_on) == [0, 1, 2]
    assert len(record.blobs) == 2
    assert [row[4] for row in record.value["rows"]] == [0, NOT_KEPT, 0]
    assert [row[5] for row in record.value["rows"]] == [True, False, True]
    assert record.value["failed"] == [[9, "bad"]]


def test_records_are_in_order_of_submission(journal: Journal) -> None:
    with Recorder(journal, "webp-lossless", 60.0) as recorder:
        for step in range(20):
            recorder.submit(CallResult(step, result(True).items, [], 1.0, 0.5), ImageCodec())
    assert [record.value["step"] for record in journal.records] == list(range(20))


def test_what_goes_wrong_beside_the_calls_is_not_lost(journal: Journal) -> None:
    with Recorder(journal, "png", 60.0) as recorder:
        future = recorder.submit(result(True), Broken()).record
        with pytest.raises(OSError, match="disk is full"):
            future.result()
    assert journal.records == []
