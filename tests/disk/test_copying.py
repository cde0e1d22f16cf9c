"""Ranges are copied the same by the kernel and by hand, across file systems too."""

import errno
import os
from pathlib import Path

import pytest

from panic_hpc.disk.copying import copy_by_hand, copy_range
from panic_hpc.errors import ShardError

CONTENT = os.urandom(100_000)


@pytest.fixture
def files(tmp_path: Path) -> tuple[int, int]:
    (tmp_path / "source").write_bytes(CONTENT)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    return source, target


def test_the_kernel_and_the_hand_copy_the_same(files: tuple[int, int]) -> None:
    source, target = files
    copy_range(source, 123, target, 7, 50_000, "source")
    assert os.pread(target, 50_000, 7) == CONTENT[123:50_123]
    copy_by_hand(source, 60_000, target, 7, 40_000, "source")
    assert os.pread(target, 40_000, 7) == CONTENT[60_000:]


@pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_where_the_kernel_cannot_the_hand_does(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real, calls = os.copy_file_range, []

    def stops_after_one(source: int, target: int, count: int, place: int, at: int) -> int:
        calls.append(count)
        if len(calls) > 1:
            raise OSError(number, os.strerror(number))
        return real(source, target, 1000, place, at)

    monkeypatch.setattr(os, "copy_file_range", stops_after_one)
    source, target = files
    copy_range(source, 0, target, 0, len(CONTENT), "source")
    assert os.pread(target, len(CONTENT), 0) == CONTENT
    assert len(calls) == 2


def test_other_errors_are_not_hidden(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(OSError, match="full"):
        copy_range(*files[:1], 0, files[1], 0, 10, "source")


def test_a_source_that_becomes_shorter_is_named(files: tuple[int, int]) -> None:
    with pytest.raises(ShardError, match="source became shorter"):
        copy_range(files[0], 99_000, files[1], 0, 5000, "source")
