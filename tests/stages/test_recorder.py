from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panic_hpc.models.base import Output
from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.stages.runs.recorder import CallResult, Item, Recorder
from panic_hpc.store.format.shard import ShardHeader
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.store.results.runs import NOT_KEPT


class Coarse(ImageCodec):
    """A codec that loses the low bits, to see who reads what."""

    def encode(self, value: np.ndarray, option: str) -> bytes:
        return super().encode(value & 0xF0, option)


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


def test_the_next_model_reads_what_is_stored(journal: Journal) -> None:
    call = result(True)
    with Recorder(journal, "png", 60.0) as recorder:
        record, values = recorder.submit(call, Coarse()).result()
    assert np.array_equal(values[0], call.items[0].output.value & 0xF0)
    assert np.array_equal(values[0], Coarse().decode(journal.read(record.blobs[0])))


def test_what_is_not_kept_is_flagged_and_not_stored(journal: Journal) -> None:
    with Recorder(journal, "png", 60.0) as recorder:
        record, values = recorder.submit(result(True, False, True), ImageCodec()).result()
    assert sorted(values) == [0, 1, 2]
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
        future = recorder.submit(result(True), Broken())
        with pytest.raises(OSError, match="disk is full"):
            future.result()
    assert journal.records == []
