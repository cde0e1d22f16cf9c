"""Publishing on file systems of different abilities."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from panic_hpc.disk.files import append_to, create_file, move_file, replace_file
from panic_hpc.disk.private_dirs import private_folder
from panic_hpc.disk.publish import publish_first, remove_stale, replacing
from panic_hpc.errors import DiskError, LaunchError


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    (tmp_path / "t").write_text("new")
    return tmp_path / "t"


@pytest.mark.parametrize("has_links", [True, False])
def test_the_first_keeps_the_name(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not has_links:
        monkeypatch.setattr(os, "link", refused)
    path = temporary.with_name("final")
    assert publish_first(temporary, path) is True
    assert path.read_text() == "new"
    temporary.unlink(missing_ok=True)
    temporary.write_text("later")
    assert publish_first(temporary, path) is False
    assert path.read_text() == "new"


def test_a_link_that_fails_otherwise_is_an_error(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(DiskError, match=r"final could not be written .*broken"):
        publish_first(temporary, temporary.with_name("final"))
    assert not temporary.with_name("final").exists()


def test_only_old_leftovers_are_removed(tmp_path: Path) -> None:
    names = (".d.h5.1-0123abcd.tmp", ".d.h5.2-0123abcd.tmp", ".e.h5.1-0123abcd.tmp")
    old, new, other = (tmp_path / name for name in names)
    for path in (old, new, other):
        path.write_text("x")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    remove_stale(tmp_path / "d.h5")
    assert not old.exists()
    assert new.exists()
    assert other.exists()


def test_an_error_half_way_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "table"
    replace_file(path, b"old")
    with suppress(ZeroDivisionError), replacing(path) as stream:
        stream.write(b"half of the n")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table"]


@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_every_call_that_fails_is_one_sentence_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fails(*_: object) -> None:
        # An error of fsync names no file.
        raise OSError(number, os.strerror(number))

    path = tmp_path / "record.json"
    replace_file(path, b"old")
    monkeypatch.setattr(os, call, fails)
    write, asked = (replace_file, path) if call == "replace" else (create_file, path.parent / "one")
    with pytest.raises(DiskError, match=rf"^{asked} could not be written"):
        write(asked, b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["record.json"]
    assert path.read_bytes() == b"old"


def test_a_log_and_a_move_that_cannot_be_made_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="file/log could not be written"):
        append_to(tmp_path / "file" / "log")
    with pytest.raises(DiskError, match="file/there could not be written"):
        move_file(tmp_path / "file", tmp_path / "file" / "there")


def test_a_folder_of_pickles_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "jobs/pickles")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    with pytest.raises(LaunchError, match="not private"):
        private_folder(folder)
