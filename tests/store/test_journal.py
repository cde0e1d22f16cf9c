"""Journals: whole records survive any kill; other shards' and other machines' are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panic_hpc.errors import NumericsError, ShardError
from panic_hpc.store.format.shard import ShardHeader
from panic_hpc.store.journal import Journal, open_journal

HEADER = ShardHeader("runs", 3, "", "the key", {"cpu": "a Xeon", "threads": 1})
RECORDS: list[tuple[Any, list[bytes]]] = [
    ({"step": 0, "text": "lone \ud800 surrogate ☾"}, [b"image", b""]),
    ([1, None, 2.5], []),
    ({"step": 2}, [bytes(1000), b"\xff" * 17]),
]


def content(journal: Journal) -> list[tuple[Any, list[bytes]]]:
    return [(r.value, [journal.read(blob) for blob in r.blobs]) for r in journal.records]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_journal(tmp_path / "runs_00003.journal", HEADER) as journal:
        for value, blobs in RECORDS:
            journal.append(value, blobs)
        journal.commit()
    return tmp_path / "runs_00003.journal"


def test_records_are_read_again_and_continued(path: Path) -> None:
    with open_journal(path, HEADER) as journal:
        assert content(journal) == RECORDS
        record = journal.append({"more": 1}, [b"abc"])
        assert journal.read(record.blobs[0]) == b"abc"
    with open_journal(path, HEADER) as journal:
        assert content(journal) == [*RECORDS, ({"more": 1}, [b"abc"])]
        assert journal.numerics == [HEADER.numerics]
    assert list(path.parent.iterdir()) == [path]


def test_a_torn_tail_is_cut_off_wherever_it_is_torn(path: Path) -> None:
    whole = path.read_bytes()
    sizes = []
    for size in range(len(whole) - 1, 60, -13):
        path.write_bytes(whole[:size])
        try:
            with open_journal(path, HEADER) as journal:
                found = content(journal)
        except ShardError:
            continue
        assert found == RECORDS[: len(found)]
        sizes.append(len(found))
    assert sizes[0] == 2
    assert sizes[-1] == 0


def test_a_damaged_record_and_all_after_it_are_dropped(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"image")] ^= 1
    path.write_bytes(damaged)
    with open_journal(path, HEADER) as journal:
        assert journal.records == []


def test_a_writer_thought_dead_cannot_harm_its_successor(path: Path) -> None:
    with open_journal(path, HEADER) as zombie, open_journal(path, HEADER) as successor:
        successor.append("mine")
        zombie.append("late", [bytes(5000)])
        zombie.commit()
        successor.append("mine too")
    with open_journal(path, HEADER) as journal:
        assert [r.value for r in journal.records[len(RECORDS) :]] == ["mine", "mine too"]


@pytest.mark.parametrize("change", [{"index": 4}, {"manifest_key": "other"}, {"model": "m"}])
def test_another_shards_journal_is_refused(path: Path, change: dict[str, Any]) -> None:
    before = path.read_bytes()
    with pytest.raises(ShardError, match=next(iter(change))):
        open_journal(path, replace(HEADER, **change))
    assert path.read_bytes() == before


def test_another_numerics_class_is_refused_or_recorded(path: Path) -> None:
    other = replace(HEADER, numerics={"cpu": "an EPYC", "threads": 1})
    with pytest.raises(NumericsError, match="cpu was 'a Xeon', now 'an EPYC'"):
        open_journal(path, other)
    for _ in range(2):
        with open_journal(path, other, allow_other_numerics=True) as journal:
            assert journal.numerics == [HEADER.numerics, other.numerics]
            assert content(journal)[:3] == RECORDS
            journal.append("more")
    with pytest.raises(NumericsError):
        open_journal(path, HEADER)


def test_other_files_are_not_taken_for_journals(path: Path) -> None:
    path.write_bytes(b"something else")
    with pytest.raises(ShardError, match="not a journal"):
        open_journal(path, HEADER)
    assert path.read_bytes() == b"something else"


def test_a_removed_journal_is_gone(path: Path) -> None:
    journal = open_journal(path, HEADER)
    journal.remove()
    assert not path.exists()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_damage_leaves_a_prefix_of_whole_records(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    with open_journal(path, HEADER) as journal:
        for value, blobs in RECORDS:
            journal.append(value, blobs)
    damaged = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        with open_journal(path, HEADER) as journal:
            found = content(journal)
    except ShardError:
        return
    assert found == RECORDS[: len(found)]
