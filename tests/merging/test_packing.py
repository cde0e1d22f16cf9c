"""Datasets that refer to their pictures made whole: the same content, and nothing half done."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forge
import numpy as np
import pytest
import synthetic
from killing import kill_a_pack
from synthetic import Experiment

import panic_hpc
from panic_hpc.errors import AwayError, Interrupted, PanicError, ShardError
from panic_hpc.merging import packing
from panic_hpc.merging.assembling import THREADS
from panic_hpc.merging.dataset_file import begin
from panic_hpc.merging.packing import pack
from panic_hpc.store.checks.verify import verify_file


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment(tmp_path / "exp" / "parts", has_real_images=True)


@pytest.fixture
def referring(experiment: Experiment) -> Path:
    """A dataset whose pictures are in its shards, some of which are taken only in part."""
    other = Experiment(experiment.root.parent / "more", seeds=(2, 3, 4), has_real_images=True)
    pairs = [(one, synthetic.write(one, [7, 5])) for one in (experiment, other)]
    return synthetic.merged(experiment.root.parent / "dataset.h5", *pairs, refer=True).path


def arrays(path: Path) -> dict[str, np.ndarray]:
    with panic_hpc.open(path) as dataset:
        names = set(dataset.file.entries) - {"checksums/length", "checksums/sha256"}
        return {name: dataset.file.array(name) for name in names}


def test_a_packed_dataset_has_all_that_it_had_and_needs_its_shards_no_more(
    referring: Path, tmp_path: Path
) -> None:
    before = arrays(referring)
    with panic_hpc.open(referring) as dataset:
        pictures = dataset.file.array("images/values")
        key = dataset.content_key
    packed = pack(referring, referring)
    assert (packed.content_key, packed.packed_nbytes) == (key, len(pictures))
    alone = tmp_path / "alone" / "dataset.h5"
    alone.parent.mkdir()
    for name in ("dataset.h5", "dataset.h5.digest"):
        shutil.move(referring.with_name(name), alone.with_name(name))
    shutil.rmtree(referring.parent)
    checked = verify_file(alone)
    assert (checked.findings, checked.content_key) == ((), key)
    after = arrays(alone)
    assert np.array_equal(after.pop("images/values"), pictures)
    expected = {n: array for n, array in before.items() if not n.startswith("references/")}
    assert after.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(after[name], array)
        assert after[name].dtype == array.dtype


def test_it_is_what_a_merge_that_copies_makes_and_packing_again_changes_nothing(
    experiment: Experiment,
) -> None:
    pair = (experiment, synthetic.write(experiment, [7, 5]))
    target = experiment.root.parent / "one.h5"
    synthetic.merged(target, pair, refer=True)
    packed = pack(target, target)
    assert not synthetic.merged(target, pair).is_new
    content = target.read_bytes()
    again = pack(target, target)
    assert (again.packed_nbytes, again.nbytes) == (0, packed.nbytes)
    assert target.read_bytes() == content


def test_a_picture_that_changed_since_ends_it_and_leaves_all_as_it_was(
    experiment: Experiment, referring: Path
) -> None:
    shard = experiment.root / "runs" / "runs_00000.h5"
    shard.chmod(0o644)
    forge.overwrite(shard, "images/values", lambda values: values ^ np.uint8(1))
    before = {one.name: one.read_bytes() for one in referring.parent.iterdir() if one.is_file()}
    with pytest.raises(ShardError, match="is damaged, or is not the file"):
        pack(referring, referring)
    after = {one.name: one.read_bytes() for one in referring.parent.iterdir() if one.is_file()}
    assert after == before


def test_a_shard_behind_a_link_that_leads_out_of_the_folder_is_not_packed(
    experiment: Experiment, referring: Path, tmp_path: Path
) -> None:
    shard = experiment.root / "runs" / "runs_00000.h5"
    shutil.move(shard, tmp_path / "outside.h5")
    shard.symlink_to(tmp_path / "outside.h5")
    with pytest.raises(ShardError, match="outside of its folder"):
        pack(referring, tmp_path / "whole.h5")
    assert not (tmp_path / "whole.h5").exists()


def test_it_replaces_no_shard_and_nothing_else_unasked(
    experiment: Experiment, referring: Path, tmp_path: Path
) -> None:
    shard = experiment.root / "runs" / "runs_00000.h5"
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    for target, force in ((shard, False), (shard, True), (notes, False)):
        content = target.read_bytes()
        with pytest.raises(PanicError):
            pack(referring, target, force=force)
        assert target.read_bytes() == content


def test_it_stops_when_it_is_asked_to_and_leaves_no_temporary_file(
    referring: Path,
) -> None:
    before = sorted(os.listdir(referring.parent))
    with pytest.raises(Interrupted, match="not whole yet: enough"):
        pack(referring, referring, should_stop=lambda: "enough")
    assert sorted(os.listdir(referring.parent)) == before


def test_what_is_left_is_not_copied_once_it_is_stopped(
    referring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    is_told = threading.Event()
    firsts: list[Any] = []
    blocks, whole = packing._blocks, packing._copy_block

    def noted(*arguments: Any) -> Iterator[Any]:
        found = list(blocks(*arguments))
        firsts.append(found[0])
        return iter(found)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            is_told.set()
            super().shutdown(wait=wait)

    def held(*arguments: Any) -> int:
        # All but the first, after which it is asked whether to stop: however busy the machine is.
        if arguments[-1] is not firsts[-1]:
            assert is_told.wait(60)
        copied.append(1)
        return whole(*arguments)

    monkeypatch.setattr(packing, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(packing, "_blocks", noted)
    monkeypatch.setattr(packing, "_copy_block", held)
    with pytest.raises(Interrupted):
        pack(referring, referring, should_stop=lambda: "enough")
    n_stopped = len(copied)
    pack(referring, referring)
    assert n_stopped <= THREADS + 1
    assert n_stopped <= 2 * THREADS < len(copied) - n_stopped


def test_a_pack_that_was_killed_costs_nothing_and_the_next_one_sweeps(referring: Path) -> None:
    before = arrays(referring)
    left = kill_a_pack(referring)
    assert verify_file(referring).findings == ()
    assert all(np.array_equal(array, before[name]) for name, array in arrays(referring).items())
    # An hour later nobody is writing it any more.
    os.utime(left, (0, 0))
    assert pack(referring, referring).packed_nbytes
    assert not left.exists()
    assert verify_file(referring).findings == ()


def test_two_packs_at_once_make_one_whole_dataset(referring: Path) -> None:
    command = [sys.executable, "-m", "panic_hpc", "dataset", "pack", str(referring)]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert verify_file(referring).findings == ()
    assert not list(referring.parent.glob(".*.tmp"))
    with panic_hpc.open(referring) as dataset:
        assert dataset.file.references is None


def test_a_shard_that_is_replaced_while_it_is_packed_ends_that(
    experiment: Experiment, referring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = experiment.root / "runs" / "runs_00000.h5"
    content = referring.read_bytes()

    def replaced(*arguments: Any) -> Any:
        other = Path(shutil.copy(shard, shard.with_name("other.h5")))
        other.chmod(0o644)
        forge.overwrite(other, "images/values", lambda values: values ^ np.uint8(1))
        os.replace(other, shard)
        return begin(*arguments)

    monkeypatch.setattr("panic_hpc.merging.packing.begin", replaced)
    with pytest.raises(AwayError, match=r"runs_00000\.h5 is damaged, or is not the file"):
        pack(referring, referring)
    assert referring.read_bytes() == content
    assert not list(referring.parent.glob(".*.tmp"))


def test_a_shard_that_was_cut_off_is_named(experiment: Experiment, referring: Path) -> None:
    shard = experiment.root / "runs" / "runs_00000.h5"
    shard.chmod(0o644)
    os.truncate(shard, 4096)
    with pytest.raises(AwayError, match=r"runs_00000\.h5 .*panic-hpc merge EXP"):
        pack(referring, referring)


def test_the_verb_packs_in_place_and_says_what_it_did(referring: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "panic_hpc", "dataset", "pack", str(referring)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)

    told = json.loads(run("--json").stdout)
    assert told["path"] == str(referring)
    assert told["nbytes"] == referring.stat().st_size > told["packed_nbytes"] > 0
    assert ": whole, " in run().stdout
