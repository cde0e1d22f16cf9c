"""The power fails: of what was not synced any part is lost, in any order, and nothing else.

A real run of each workload is traced; every state that its calls allow a disk to be in is one that
`submit` must go on from.
"""

import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import crash_states
import fault_campaign
import fault_workloads
import pytest
from crash_states import Disk, Operation, Trace
from fault_campaign import Judge, Tally
from fault_workloads import WORKLOADS, Workload
from little_experiment import with_folders

STATES = int(os.environ.get("PANIC_HPC_FAULT_STATES", "2"))
"""States that are tried of each workload, drawn by seed; 0 tries all, which are thousands."""

# Pictures and reports are not synced: they can be made again from a dataset, which is.
DURABLE = [one for one in WORKLOADS if one.kind not in ("images", "crate", "imported")]

SUPPORT = Path(fault_campaign.__file__).parent

pytestmark = pytest.mark.programs("strace")


@dataclass(frozen=True)
class Recorded:
    """The judge of what is left, what was traced, and the folder of each workload."""

    judge: Judge
    said: str
    work: Path

    def trace(self, workload: Workload) -> Trace:
        """Return what a workload changed."""
        before = Disk.read(self.judge.folder / workload.begins)
        return crash_states.trace_of(self.said, self.work / workload.kind, before)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Recorded:
    """Record the workloads that this session has tests of."""
    folder = tmp_path_factory.mktemp("power")
    work = folder / "work"
    key = fault_workloads.make_snapshots(folder)
    for workload in wanted(request.session.items):
        shutil.copytree(folder / workload.begins, work / workload.kind)
    command = [sys.executable, str(SUPPORT / "record_work.py"), str(work)]
    environment = {**with_folders(SUPPORT, SUPPORT.parent), "OPENBLAS_NUM_THREADS": "1"}
    said = crash_states.traced(command, folder / "trace", env=environment)
    return Recorded(Judge(folder, key), said, work)


def wanted(items: list[pytest.Item]) -> list[Workload]:
    """Return the workloads of the tests in this module that were asked for."""
    found = [one.callspec.params.get("workload") for one in items if hasattr(one, "callspec")]
    return [workload for workload in DURABLE if workload in found]


def drawn(trace: Trace, kind: str) -> list[frozenset[int]]:
    """Return the states to try; the first, after the work with all lost that may be, is among."""
    first, *others = trace.applied()
    if STATES and len(others) >= STATES:
        others = random.Random(kind).sample(others, STATES - 1)
    return [first, *others]


@pytest.mark.parametrize("workload", DURABLE, ids=lambda one: one.kind)
@pytest.mark.timeout(3600)
def test_whatever_a_power_failure_leaves_the_work_goes_on_to_the_same_content(
    recorded: Recorded, injected: Callable[[str, int], None], workload: Workload
) -> None:
    trace, judge, tally = recorded.trace(workload), recorded.judge, Tally(workload.kind)
    states = drawn(trace, workload.kind)
    before = judge.begin(workload)
    for state in states:
        shutil.rmtree(judge.copy)
        crash_states.write_tree(trace.after(state), judge.copy)
        try:
            judge.judge(workload, before, tally)
        except Exception as error:
            lost = [change for number, change in enumerate(trace.changes) if number not in state]
            what = [(one.kind, one.name or one.node, one.to_name) for one in lost]
            raise AssertionError(f"of {len(trace.changes)} changes without {what}") from error
    injected("power lost", len(states))
    print(f"faults: {len(states)} states after lost power, {workload.kind}: all go on")
    print(f"faults: {workload.kind}: doctor --fix was needed {tally.repaired} times")


@pytest.mark.parametrize("workload", DURABLE, ids=lambda one: one.kind)
def test_what_was_published_is_there_after_the_power_failed(
    recorded: Recorded, workload: Workload
) -> None:
    trace = recorded.trace(workload)
    assert trace.after() == crash_states.read_tree(recorded.work / workload.kind)
    least = trace.after(next(trace.applied()))
    root = recorded.work / workload.kind / "EXP"
    published = [f"EXP/{path}" for path in fault_workloads.published(root)]
    exported = [str(path.relative_to(root.parent)) for path in root.parent.glob("parquet/*")]
    # A lease's progress is of no use after its owner's end.
    kept = [path for path in published + exported if "/leases/" not in path]
    assert len(kept) >= 2
    for path in kept:
        assert least.get(path) == trace.after()[path], f"{path} is lost"


def test_a_rename_that_no_directory_was_synced_for_may_be_lost() -> None:
    """The states of the textbook's case: a file written, not synced, and renamed over another."""
    before = Disk({0: {"name": 1}}, {1: bytearray(b"old")})
    changes = [
        Operation("enter", 2, 0, "new"),
        Operation("write", 2, data=b"new"),
        Operation("move", 2, 0, "new", 0, "name"),
    ]
    trace = Trace(before, changes, [None, None, None])
    found = {bytes(trace.after(state)["name"] or b"") for state in trace.applied()}
    assert found == {b"old", b"", b"new"}
    synced = Trace(before, changes, [None, 2, None])
    found = {bytes(synced.after(state)["name"] or b"") for state in synced.applied()}
    assert found == {b"old", b"new"}
