"""A model's revision changes with every byte and name, and with nothing else."""

import os
from pathlib import Path

import pytest

from panic_hpc.models.folder_digest import folder_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "unet" / "weights.bin").write_bytes(b"\0" * 100)
    return root


def test_a_digest_is_the_same_in_another_place_at_another_time(
    folder: Path, tmp_path: Path
) -> None:
    before = folder_digest(folder)
    os.utime(folder / "config.json", (1, 1))
    (folder / "config.json").chmod(0o400)
    assert folder_digest(folder.rename(tmp_path / "elsewhere")) == before
    assert len(before) == 64


def test_what_an_editor_or_a_hub_client_leaves_behind_does_not_count(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("x")
    (folder / "empty").mkdir()
    assert folder_digest(folder) == before


def test_every_byte_and_every_name_counts(folder: Path) -> None:
    seen = {folder_digest(folder)}
    (folder / "unet" / "weights.bin").write_bytes(b"\0" * 99 + b"\1")
    seen.add(folder_digest(folder))
    (folder / "unet" / "weights.bin").rename(folder / "weights.bin")
    seen.add(folder_digest(folder))
    (folder / "added").write_text("")
    seen.add(folder_digest(folder))
    assert len(seen) == 4


def test_a_name_cannot_pass_for_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("y")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "xy").write_text("")
    assert folder_digest(tmp_path / "a") != folder_digest(tmp_path / "b")
