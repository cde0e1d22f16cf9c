"""A system call of a merge fails once: the previous dataset stays, or a whole new one is there."""

import shutil
import subprocess
import sys
from pathlib import Path

import experiments
import pytest

import panic_hpc

STRACE = shutil.which("strace")
pytestmark = pytest.mark.programs("strace")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with a dataset, and one more diagrams shard than that was made of."""
    planned = experiments.planned(tmp_path_factory.mktemp("faults") / "exp", runs_per_shard=5)
    planned.work("runs", "embeddings", "diagrams")
    root = planned.paths.root
    (late, *_) = (root / "shards" / "diagrams").rglob("*.h5")
    late.rename(root / "late.h5")
    merge(root, "--allow-missing")
    (root / "late.h5").rename(late)
    return root


def merge(root: Path, *options: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
    command = [*before, sys.executable, "-m", "panic_hpc", "merge", str(root), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("call", "error", "number"),
    [
        ("fallocate", "ENOSPC", 1),
        ("copy_file_range", "ENOSPC", 3),
        ("copy_file_range", "EIO", 20),
        ("preadv2", "EIO", 20),
        ("pwrite64", "ENOSPC", 12),
        ("pwrite64", "EIO", 60),
        ("fsync", "EIO", 1),
        ("fsync", "EIO", 2),
        ("fsync", "EIO", 3),
        ("fsync", "EIO", 4),
        ("rename", "EIO", 2),
    ],
)
def test_a_call_that_fails_once_leaves_a_whole_dataset(
    finished: Path, tmp_path: Path, call: str, error: str, number: int
) -> None:
    root = tmp_path / "exp"
    shutil.copytree(finished, root)
    log = tmp_path / "strace"
    inject = f"inject={call}:error={error}:when={number}"
    strace = (str(STRACE), "-f", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", inject)
    before = (root / "dataset.h5").read_bytes()
    # With checking copies pass through this process's memory, so that each byte is read once.
    options = ("--no-check",) if call == "copy_file_range" else ()
    code, said = merge(root, *options, before=strace)
    assert "INJECTED" in log.read_text()
    if code != 0:
        assert (root / "dataset.h5").read_bytes() == before
        assert "Traceback" not in said
        assert str(root) in said
    with panic_hpc.open(root / "dataset.h5") as dataset:
        dataset.file.check_all()
        assert dataset.file.header["n_missing"] == (1 if code else 0)
    assert not list(root.glob(".*.tmp"))


def test_a_file_system_without_reservations_will_do(finished: Path, tmp_path: Path) -> None:
    root = tmp_path / "exp"
    shutil.copytree(finished, root)
    inject = "inject=fallocate:error=EOPNOTSUPP"
    code, said = merge(root, before=(str(STRACE), "-f", "-qq", "-o", "/dev/null", "-e", inject))
    assert code == 0, said
