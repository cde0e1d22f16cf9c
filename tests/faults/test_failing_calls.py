"""Every call that changes a file fails, is cut short or is the last: nothing wrong is published.

SQLite's way: the n-th call of each kind, for every n, once and for ever, over every kind of file.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fault_campaign
import pytest
from fault_injection import FAULTS, preloaded_environment
from fault_workloads import WORKLOADS
from little_experiment import with_folders

PLACES = int(os.environ.get("PANIC_HPC_FAULT_CALLS", "1"))
"""Calls that each kind of fault meets in each workload, drawn by seed; `make faults`: 0, all."""

FAULTS_FOLDER = Path(fault_campaign.__file__).parent
SUPPORT = [FAULTS_FOLDER, FAULTS_FOLDER.parent, Path(__file__).parents[1] / "upstream"]
COUNTED = """
import ctypes, os, sys
from pathlib import Path
import fault_workloads
root = Path(sys.argv[1])
ctypes.CDLL(None).fault_arm(os.fsencode(f"{root}/"), int(sys.argv[2]), ctypes.c_long(-1), 5, 0, 0)
fault_workloads.plan(root)
print(ctypes.CDLL(None).fault_calls())
"""

pytestmark = pytest.mark.programs("g++")


def environment(folder: Path) -> dict[str, str]:
    return preloaded_environment(folder, with_folders(*SUPPORT))


SHARES = [pytest.param(3, id="a third"), pytest.param(1, id="all", marks=pytest.mark.long)]


@pytest.fixture(scope="module", params=SHARES)
def tallies(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """One campaign over all workloads, of which each meets a share of the faults or all."""
    library = tmp_path_factory.mktemp("campaign")
    # In memory where that can be: a fifth of the time would go into fsync.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(library)
    with tempfile.TemporaryDirectory(prefix="panic-hpc-faults-", dir=memory) as folder:
        done = subprocess.run(
            [sys.executable, fault_campaign.__file__, folder, str(PLACES), str(request.param)],
            env=environment(library), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {tally["kind"]: tally for tally in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("kind", [workload.kind for workload in WORKLOADS])
@pytest.mark.timeout(3600 * 8)
def test_no_failing_call_publishes_anything_wrong_or_loses_anything(
    tallies: dict[str, Any], injected: Callable[[str, int], None], kind: str
) -> None:
    tally = tallies[kind]
    for fault, ends in tally["counts"].items():
        injected(f"call of libc: {fault}", sum(n for how, n in ends.items() if how != "wrong"))
    total = sum(n for ends in tally["counts"].values() for how, n in ends.items() if how != "wrong")
    print(f"faults: {total} failing calls, {kind}: {tally['counts']}")
    print(f"faults: {kind}: doctor --fix was needed {tally['repaired']} times")
    assert not tally["wrong"], "\n".join(tally["wrong"][:3])
    tried = tally["counts"].keys()
    assert tried >= fault_campaign.ALWAYS
    assert any(name.startswith("write E") for name in tried)


@pytest.mark.programs("strace")
@pytest.mark.parametrize(("fault", "call"), [("fsync EIO", "fsync"), ("link EIO", "link")])
def test_the_injector_sees_what_strace_sees(tmp_path: Path, fault: str, call: str) -> None:
    log, root = tmp_path / "strace", tmp_path / "root"
    kinds = next(one.kinds for one in FAULTS if one.name == fault)
    done = subprocess.run(
        ["strace", "-f", "-qq", "-y", "-o", log, "-e", f"trace={call}",
         sys.executable, "-c", COUNTED, root, str(kinds)],
        env=environment(tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    seen = [line for line in log.read_text().splitlines() if f"{root}/" in line]
    assert len(seen) == int(done.stdout.split()[-1]) > 0
