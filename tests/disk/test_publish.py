"""Publishing on file systems of different abilities."""

import errno
import os
from pathlib import Path

import pytest

from panic_hpc.disk.publish import publish_first, remove_stale


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
    with pytest.raises(OSError, match="broken"):
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
