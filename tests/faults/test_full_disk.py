"""A real file system that is full, then read-only: the same command goes on when it is well."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic
from killing import kill_a_pack
from little_experiment import plan_little, run_command

import panic_hpc
from panic_hpc.disk.blocks import free_bytes
from panic_hpc.errors import DiskError
from panic_hpc.merging.packing import pack
from panic_hpc.store.format.shard import ShardHeader
from panic_hpc.store.journal import Journal, open_journal
from panic_hpc.workspace.failures import read_failure

TINY_BYTES, AMPLE = 800_000, "64m"


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True, capture_output=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 800 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, who may mount a file system")
    try:
        mount("-t", "tmpfs", "-o", f"size={TINY_BYTES}", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs to mount a tmpfs ({error})")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def content_key(root: Path) -> str:
    with panic_hpc.open(root / "dataset.h5") as dataset:
        dataset.file.check_all()
        return dataset.content_key


def submit(root: Path, code: int) -> str:
    return run_command("submit", root, "--executor", "inline", code=code)


def test_shards_that_a_full_disk_failed_are_submitted_again_by_submit(
    tmp_path: Path, small: Path
) -> None:
    undisturbed = plan_little(tmp_path / "EXP")
    submit(undisturbed, code=0)
    root = plan_little(small / "EXP")
    (small / "others").write_bytes(bytes(TINY_BYTES - 300_000 - used(small)))
    said = submit(root, code=3)
    assert "submit` tries again" in said
    assert "Traceback" not in said
    records = [read_failure(path) for path in (root / "failed").iterdir()]
    assert records
    assert all(record and record.disk for record in records)
    mount("-o", f"remount,size={AMPLE}", str(small))
    submit(root, code=0)
    assert content_key(root) == content_key(undisturbed)


def fill(journal: Journal) -> None:
    for step in range(8):
        journal.append({"step": step}, [bytes(2**19)])
        journal.commit()


def test_a_shard_stops_when_the_disk_has_no_room_for_its_file_and_before_it_is_full(
    small: Path,
) -> None:
    mount("-o", "remount,size=4m", str(small))
    path, header = small / "runs_00003.journal", ShardHeader("runs", 3, "", "the key", {})
    with open_journal(path, header) as journal:
        with pytest.raises(DiskError, match=r"runs_00003.journal holds, to be published, needs"):
            fill(journal)
        done = len(journal.records)
        assert done >= 2
        assert free_bytes(small) > 2**20
    mount("-o", f"remount,size={AMPLE}", str(small))
    with open_journal(path, header) as journal:
        assert len(journal.records) == done
        journal.commit()


def used(place: Path) -> int:
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def test_a_read_only_file_system_is_told_in_a_sentence_and_costs_nothing(
    tmp_path: Path, small: Path
) -> None:
    mount("-o", f"remount,size={AMPLE}", str(small))
    root = plan_little(small / "EXP")
    mount("-o", "remount,ro", str(small))
    said = submit(root, code=1)
    assert "Read-only file system" in said
    assert "Traceback" not in said
    mount("-o", "remount,rw", str(small))
    submit(root, code=0)
    undisturbed = plan_little(tmp_path / "EXP")
    submit(undisturbed, code=0)
    assert content_key(root) == content_key(undisturbed)


def test_a_pack_that_has_no_room_names_what_a_killed_one_left(small: Path) -> None:
    mount("-o", "remount,size=8m", str(small))
    experiment = synthetic.Experiment(small / "parts", image_bytes=60_000)
    inputs = synthetic.write(experiment, [6, 6])
    path = synthetic.merged(small / "d.h5", (experiment, inputs), refer=True).path
    content = path.read_bytes()
    left = kill_a_pack(path)
    others = small / "others"
    others.write_bytes(bytes(free_bytes(small) - left.stat().st_size // 2))
    with pytest.raises(DiskError, match=f"rm {left} frees"):
        pack(path, path)
    assert path.read_bytes() == content
    left.unlink()
    others.unlink()
    assert pack(path, path).packed_nbytes
    with panic_hpc.open(path) as dataset:
        dataset.file.check_all()


@pytest.mark.long
def test_a_dataset_on_a_read_only_file_system_is_read_packed_and_reported_elsewhere(
    small: Path, tmp_path: Path
) -> None:
    mount("-o", f"remount,size={AMPLE}", str(small))
    experiment = synthetic.Experiment(small / "parts", has_real_images=True)
    inputs = synthetic.write(experiment, [6, 6])
    path = synthetic.merged(small / "d.h5", (experiment, inputs), refer=True).path
    mount("-o", "remount,ro", str(small))
    for verb in ("dataset pack", "analyse", "report"):
        assert "or name another one (-o)" in run_command(*verb.split(), path, code=1)
    run_command("dataset", "pack", path, "-o", tmp_path / "whole.h5")
    run_command("analyse", path, "pictures", "-o", tmp_path / "found")
    # Its analyses lie beside it then, where they lay beside the dataset, which nobody may write to.
    said = run_command("report", path, "-o", tmp_path / "site")
    assert "index.html" in said
    assert (tmp_path / "site.analyses" / "tests.csv").exists()
    assert synthetic.merged(path, (experiment, inputs), refer=True).is_new is False
