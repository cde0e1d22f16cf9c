"""A folder of weights is what its files say, wherever it lies."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.errors import ModelError
from panic_hpc.models.folder_digest import folder_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "weights"
    (root / "unet").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "unet" / "model.safetensors").write_bytes(bytes(range(256)) * 1000)
    return root


def test_a_copy_has_the_same_digest(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert folder_digest(tmp_path / "elsewhere") == folder_digest(folder)
    assert folder_digest(folder).startswith("sha256:")
    assert len(folder_digest(folder)) == len("sha256:") + 64


def test_it_is_the_digest_of_what_sha256sum_prints(tmp_path: Path) -> None:
    lines = []
    for number in range(50):
        (tmp_path / f"{number:02d}").write_text(str(number))
        lines.append(f"{hashlib.sha256(str(number).encode()).hexdigest()}  {number:02d}\n")
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert folder_digest(tmp_path) == f"sha256:{expected}"


def test_a_snapshot_of_links_has_the_digest_of_its_files(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "config.json").symlink_to(folder / "config.json")
    (snapshot / "unet").symlink_to(folder / "unet")
    assert folder_digest(snapshot) == folder_digest(folder)


def test_a_downloads_bookkeeping_does_not_count(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("x")
    (folder / ".gitattributes").write_text("x")
    assert folder_digest(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "config.json").write_text("{ }"),
        lambda root: (root / "config.json").rename(root / "config2.json"),
        lambda root: (root / "config.json").rename(root / "unet" / "config.json"),
        lambda root: (root / "extra").touch(),
        lambda root: (root / "config.json").unlink(),
    ],
)
def test_every_change_of_contents_changes_it(
    folder: Path, change: Callable[[Path], object]
) -> None:
    before = folder_digest(folder)
    change(folder)
    assert folder_digest(folder) != before


def test_a_name_that_is_not_utf8_is_a_name(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / os.fsdecode(b"\xff.bin")).touch()
    assert folder_digest(folder) != before


def test_what_cannot_be_listed_is_not_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: str) -> Any:
        if os.fspath(path).endswith("unet"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ModelError, match="unet cannot be read"):
        folder_digest(folder)


def test_what_holds_no_files_is_refused(tmp_path: Path) -> None:
    for nothing in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelError, match="not a folder with files"):
            folder_digest(nothing)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    with pytest.raises(ModelError, match="cannot be read"):
        folder_digest(tmp_path)


def test_a_pipe_among_weights_is_told_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelError, match=r"pipe cannot be read \(.*not a regular file"):
        folder_digest(folder)


def test_links_that_lead_back_are_told_before_they_are_followed(folder: Path) -> None:
    # Without the look, every pair of them doubles the paths, forty times.
    for name in ("one", "two"):
        (folder / name).symlink_to(folder)
    with pytest.raises(ModelError, match="is a link to a folder that it lies in"):
        folder_digest(folder)


def test_two_folders_that_link_to_each_other_are_told(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
        (tmp_path / name / "on").symlink_to(tmp_path / other)
    with pytest.raises(ModelError, match="is a link to a folder that it lies in"):
        folder_digest(tmp_path)
