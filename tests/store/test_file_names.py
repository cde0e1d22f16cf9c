"""No name in somebody's file leads out of the folder that an export was given."""

import json
from pathlib import Path
from typing import Any

import forge
import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from synthetic import Experiment

import panic_hpc
from panic_hpc.disk.file_names import MOST_BYTES, file_name, file_names, require_within
from panic_hpc.errors import PanicError, ShardError
from panic_hpc.store.exports.images import export_images
from panic_hpc.workspace.ledger import new_submission, read_submission, write_submission

NASTY = [
    "", ".", "..", "/", "../../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "-rf", ".hidden", "~",
    "a b", "a\nb", "\x1b[31m", "\u202etxt", "é", "\ud800", "x" * 300, "☾" * 100, "c:s", "*", "$(i)",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_become_names_that_can_be_created_in_the_folder(
    tmp_path: Path, text: str
) -> None:
    name = file_name(text)
    (tmp_path / name).write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert name[0] not in ".-"


@given(text=st.text(st.characters(exclude_categories=())))
def test_every_text_has_a_name(text: str) -> None:
    name = file_name(text)
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\ :*?\"<>|'$`~")
    assert 0 < len(name) <= MOST_BYTES
    assert name[0] not in ".-"


def test_ordinary_names_stay() -> None:
    for name in ("DummyT2I+DummyI2T", "SD-2.1_base", "_x", "x" * MOST_BYTES):
        assert file_name(name) == name


def test_different_texts_have_different_names_whatever_the_case() -> None:
    texts = [*NASTY, "a_b", file_name("a/b"), "Nomic", "nomic", "x" * 301, "X" * 300]
    names = file_names(texts)
    assert len({name.lower() for name in names.values()}) == len(texts)
    assert len({name.lower() for name in file_names(["Nomic", "nomic"]).values()}) == 2
    assert file_names(["Nomic", "nomi"]) == {"Nomic": "Nomic", "nomi": "nomi"}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    experiment = Experiment(tmp_path / "exp", has_real_images=True)
    path = synthetic.merged(
        tmp_path / "dataset.h5", (experiment, synthetic.write(experiment, [7, 5]))
    ).path
    path.chmod(0o644)
    return path


def renamed(path: Path, name: str) -> Path:
    """Change the names of the first network's models to one of the same length in bytes."""

    def change(values: Any) -> Any:
        value = json.loads(values.tobytes())
        names = value["networks"][0]["names"]
        value["networks"][0]["names"] = [name] + ["x"] * (len(names) - 1)
        text = json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
        return np.frombuffer(text.ljust(len(values)), np.uint8)

    forge.overwrite(path, "metadata", change)
    return path


def written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["/../../out", "x/../../y", "/tmp/a", "..", "-"])
def test_a_network_s_name_is_no_path(dataset: Path, tmp_path: Path, name: str) -> None:
    before = set(written(tmp_path))
    target = tmp_path / "deep" / "folder"
    with panic_hpc.open(renamed(dataset, name)) as opened:
        n_images = export_images(opened, target)
    new = set(written(tmp_path)) - before - {target / "dataset.json"}
    assert len(new) == n_images > 0
    assert all(path.is_relative_to(target) for path in new)
    assert {len(path.relative_to(target).parts) for path in new} == {4}


def test_a_run_s_key_is_no_path(dataset: Path, tmp_path: Path) -> None:
    def change(values: Any) -> Any:
        values[0] = b"../../.." + values[0][8:]
        return values

    forge.overwrite(dataset, "runs/key", change)
    before = written(tmp_path)
    with panic_hpc.open(dataset) as opened, pytest.raises(ShardError, match="is no key"):
        export_images(opened, tmp_path / "out")
    assert written(tmp_path) == before


def test_a_name_with_a_control_character_is_refused(dataset: Path, tmp_path: Path) -> None:
    before = written(tmp_path)
    with (
        panic_hpc.open(renamed(dataset, "a\0b")) as opened,
        pytest.raises(ShardError, match="malformed"),
    ):
        export_images(opened, tmp_path / "out")
    assert written(tmp_path) == before


def test_a_linked_folder_within_does_not_lead_out(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with panic_hpc.open(dataset) as opened:
        export_images(opened, tmp_path / "first")
        (network, *_) = sorted(
            path.name for path in (tmp_path / "first").iterdir() if path.is_dir()
        )
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / network).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        with pytest.raises(PanicError, match="leads out of"):
            export_images(opened, tmp_path / "out", force=True)
    assert not written(tmp_path / "elsewhere")


def test_within_is_judged_by_real_paths(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    require_within(tmp_path / "link" / "a" / "b", tmp_path / "link" / "a")
    with pytest.raises(PanicError):
        require_within(tmp_path / "a" / ".." / "ab", tmp_path / "a")


def test_a_submission_under_another_name_is_none(tmp_path: Path) -> None:
    submission = new_submission("local")
    write_submission(tmp_path, submission)
    path = tmp_path / f"{submission.name}.json"
    assert read_submission(path) == submission
    path.write_text(path.read_text().replace(submission.name, "../../outside"))
    with pytest.raises(PanicError, match="is not a submission"):
        read_submission(path)
