"""Lists on disk: what was appended comes back, little of it is in memory, and no file is left."""

import errno
import os
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.disk import spool
from panic_hpc.disk.spool import BATCH_ITEMS, CACHED_BATCHES, Spool
from panic_hpc.errors import DiskError

MORE_THAN_CACHED = BATCH_ITEMS * CACHED_BATCHES * 2 + 5


def filled(path: Path, n: int) -> Spool[tuple[int, str]]:
    kept = Spool[tuple[int, str]](path)
    for number in range(n):
        kept.append((number, str(number)))
    return kept


@pytest.mark.parametrize("n", [0, 1, BATCH_ITEMS, BATCH_ITEMS + 1, MORE_THAN_CACHED])
def test_items_come_back_in_any_order(tmp_path: Path, n: int) -> None:
    expected = [(number, str(number)) for number in range(n)]
    with filled(tmp_path / "out", n) as kept:
        assert len(kept) == n
        assert list(kept) == expected
        assert [kept[number] for number in reversed(range(n))] == expected[::-1]
        assert kept[n // 3 :] == expected[n // 3 :]
        if n:
            assert kept[-1] == expected[-1]
        with pytest.raises(IndexError):
            kept[n]


def test_threads_read_at_once(tmp_path: Path) -> None:
    numbers = [number * 7919 % MORE_THAN_CACHED for number in range(4 * MORE_THAN_CACHED)]
    with filled(tmp_path / "out", MORE_THAN_CACHED) as kept, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(kept.__getitem__, numbers))
    assert found == [(number, str(number)) for number in numbers]


def test_memory_does_not_grow_with_items(tmp_path: Path) -> None:
    def held(n: int) -> int:
        with Spool[bytes](tmp_path / "out") as kept:
            tracemalloc.start()
            for number in range(n):
                kept.append(b"%1000d" % number)
            for number in range(n):
                assert int(kept[number]) == number
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    assert held(10_000) - held(1000) < 10 * 9000


def test_no_file_has_a_name_and_the_folder_need_not_be_there(tmp_path: Path) -> None:
    with filled(tmp_path / "not" / "there" / "out", 100) as kept:
        assert list(tmp_path.iterdir()) == []
        assert kept[99] == (99, "99")


def test_where_nobody_may_write_the_system_has_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = tempfile.TemporaryFile, []

    def refusing(dir: Path | None = None) -> Any:
        asked.append(dir)
        if dir is not None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real()

    monkeypatch.setattr(spool, "TemporaryFile", refusing)
    with filled(tmp_path / "out", 100) as kept:
        assert kept[50] == (50, "50")
    assert asked == [tmp_path, None]


def test_a_full_disk_is_told_with_the_name_of_what_was_to_be_made(tmp_path: Path) -> None:
    with filled(tmp_path / "out.h5", BATCH_ITEMS - 1) as kept:
        read_only = os.open(tmp_path, os.O_RDONLY)
        os.dup2(read_only, kept._descriptor)
        os.close(read_only)
        with pytest.raises(DiskError, match=r"out\.h5 could not be written"):
            kept.append((0, ""))


def test_where_no_folder_can_be_written_to_that_is_told_with_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(dir: Path | None = None) -> Any:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(spool, "TemporaryFile", refusing)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(DiskError, match=r"out\.h5 could not be written .*No usable temporary"):
        Spool(tmp_path / "out.h5")
    assert os.listdir("/proc/self/fd") == before


def test_what_is_closed_has_let_go_of_all(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    kept = filled(tmp_path / "out", 3 * BATCH_ITEMS + 5)
    kept.close()
    kept.close()
    assert os.listdir("/proc/self/fd") == before
    assert list(kept) == []
