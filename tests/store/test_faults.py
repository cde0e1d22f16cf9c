"""Every system call of publishing may fail once: nothing wrong is ever published.

strace injects the errors into a real process, HDF5's own writes included.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import forge
import pytest
import synthetic

from panic_hpc.store.format.shard import open_shard

PLACES = [str(Path(file).parent) for file in (__file__, synthetic.__file__, forge.__file__)]
STRACE = shutil.which("strace")
pytestmark = pytest.mark.programs("strace")

PUBLISH = """
import sys
sys.path[:0] = sys.argv[2:]
import test_shard
given = test_shard.arrays()
print("begin", flush=True)
test_shard.publish_shard(test_shard.Path(sys.argv[1]) / "s.h5", test_shard.HEADER, given)
"""


def publish(directory: Path, call: str, number: int, error: str) -> tuple[bool, bool]:
    """Publish with one failing call; return (whether it was injected, whether it succeeded)."""
    log = directory.parent / f"{directory.name}.strace"
    inject = f"inject={call}:error={error}:when={number}"
    command = [str(STRACE), "-f", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", inject]
    script = [sys.executable, "-c", PUBLISH, str(directory), *PLACES]
    done = subprocess.run([*command, *script], capture_output=True, timeout=120, check=False)
    return "INJECTED" in log.read_text(), done.returncode == 0


def require_nothing_wrong(directory: Path, succeeded: bool) -> None:
    path = directory / "s.h5"
    if path.exists():
        open_shard(path, manifest_key="the key").close()
    elif succeeded:
        pytest.fail("it said that it succeeded and published nothing")


def calls(tmp_path: Path, call: str) -> int:
    """Return how many of these calls an undisturbed publishing makes."""
    directory = tmp_path / "undisturbed"
    directory.mkdir()
    injected, succeeded = publish(directory, call, 60_000, "EIO")
    assert succeeded
    assert not injected
    return len((tmp_path / "undisturbed.strace").read_text().splitlines())


@pytest.mark.parametrize(
    ("call", "error"),
    [("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fsync", "EIO"), ("link", "EIO")],
)
def test_a_call_that_fails_once_publishes_nothing_wrong(
    tmp_path: Path, call: str, error: str
) -> None:
    total = calls(tmp_path, call)
    assert total >= 1
    for number in sorted({1, total // 2, total} - {0}):
        directory = tmp_path / f"{call}-{number}"
        directory.mkdir()
        injected, succeeded = publish(directory, call, number, error)
        if injected:
            require_nothing_wrong(directory, succeeded)


@pytest.mark.long
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["pwrite64", "fsync", "link", "ftruncate", "unlink"])
def test_any_call_that_fails_once_publishes_nothing_wrong(
    tmp_path: Path, call: str, error: str
) -> None:
    for number in range(1, calls(tmp_path, call) + 1):
        directory = tmp_path / f"{call}-{number}"
        directory.mkdir()
        _, succeeded = publish(directory, call, number, error)
        require_nothing_wrong(directory, succeeded)
