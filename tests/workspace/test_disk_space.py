"""`submit` says before it starts that the disk cannot hold what is planned."""

from pathlib import Path
from typing import Any

import pytest
from little_experiment import plan_little, run_command

import panic_hpc
from panic_hpc.backends.base import SilentWatcher
from panic_hpc.types import ShardId
from panic_hpc.workspace.disk_space import bytes_to_write, shortage
from panic_hpc.workspace.workspace import open_workspace

# Terabytes of pictures.
HUGE: dict[str, Any] = {"seeds": list(range(5000)), "noise": "per_step", "max_length": 10**6}


class Told(SilentWatcher):
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plan_little(tmp_path_factory.mktemp("huge") / "EXP", runs_per_shard=10**6, **HUGE)


def test_submit_tells_it_before_anything_starts(huge: Path) -> None:
    told = Told()
    request = panic_hpc.request_for("local", executor="inline", stages=("merge",))
    panic_hpc.submit(open_workspace(huge), request, wait=True, progress=told)
    assert "The disk has room for" in told.lines[0]
    assert "TB are to be written" in told.lines[0]


def test_a_dry_run_tells_it_too(huge: Path) -> None:
    assert "TB are to be written" in " ".join(run_command("submit", huge, "--dry-run").split())


def test_what_is_published_needs_no_room_any_more(tmp_path: Path) -> None:
    workspace = open_workspace(plan_little(tmp_path / "EXP", runs_per_shard=2))
    shards = workspace.shards("runs")
    total = bytes_to_write(workspace, ("runs",), frozenset())
    assert total == workspace.stages["runs"].estimate(workspace.manifest).nbytes > 0
    left = bytes_to_write(workspace, ("runs",), {ShardId("runs", 0), ShardId("merge", 0)})
    assert left == pytest.approx(total * (len(shards) - 1) / len(shards))
    assert shortage(workspace) == ""
