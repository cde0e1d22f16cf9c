"""Records of an experiment that somebody changed: refused by name or read, never a traceback."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.errors import ManifestError, PanicError
from panic_hpc.worker.stopper import halt_reason, write_halt
from panic_hpc.workspace.failures import Failure, failure_of, read_failure, write_failure
from panic_hpc.workspace.lease_text import Lease, Progress, encode_lease
from panic_hpc.workspace.leases import NOBODY, STALE_AFTER_S, lease_state, read_lease
from panic_hpc.workspace.ledger import (
    ArrayJob,
    new_submission,
    read_submission,
    write_submission,
)
from panic_hpc.workspace.process import this_process

WRONG: tuple[Any, ...] = (None, True, -1, 1e300, "x", [], {}, [[]], {"a": 1})


def variants(value: Any) -> list[Any]:
    """Return a JSON value with each of its members replaced, taken out, and others added."""
    found: list[Any] = list(WRONG)
    for key in value:
        found += [{**value, key: new} for new in WRONG]
        found.append({name: item for name, item in value.items() if name != key})
    return [*found, {**value, "stranger": 1}]


def test_a_submission_with_anything_else_in_any_member_is_refused_or_read(tmp_path: Path) -> None:
    submission = new_submission("slurm", "here").with_array_job(
        ArrayJob("runs", "j", ((0,), (1,)), "f")
    )
    write_submission(tmp_path, submission)
    [path] = tmp_path.iterdir()
    good = json.loads(path.read_text())
    assert read_submission(path) == submission
    chunks = [{**good, "chunks": [chunk]} for chunk in variants(good["chunks"][0])]
    n_refused = 0
    for value in [*variants(good), *chunks]:
        path.write_text(json.dumps(value))
        try:
            read_submission(path)
        except PanicError as error:
            n_refused += path.name in error.message
    assert n_refused > 80


def test_a_failure_with_anything_else_in_any_member_says_that_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    failure = Failure("OSError", "full", "trace", "host", "1", "s", 3.0)
    for value in variants(failure.to_json()):
        path.write_text(json.dumps(value))
        found = read_failure(path)
        assert found is not None
        assert isinstance(found.reason, str)
        assert isinstance(found.time, float)
    write_failure(path, failure)
    assert read_failure(path) == failure


def test_a_failure_on_a_path_that_is_no_utf8_and_on_a_missing_library_can_be_recorded(
    tmp_path: Path,
) -> None:
    path = tmp_path / "f.json"
    write_failure(path, failure_of(OSError(os.fsdecode(b"no /\xff")), this_process(), "s"))
    found = read_failure(path)
    assert found is not None
    assert "\\udcff" in found.reason
    missing = failure_of(ModuleNotFoundError("no", name="PIL.Image"), this_process(), "s")
    assert "panic-hpc[compute]" in missing.reason


def test_a_lease_with_anything_else_in_any_member_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    lease = Lease("token", this_process(), "s", 1.0, progress=Progress(updated=2.0))
    path.write_bytes(encode_lease(lease))
    found = read_lease(path)
    assert found is not None
    assert replace(found, touched=None) == lease
    first, second = (json.loads(line) for line in encode_lease(lease).splitlines())
    lines = [(one, second) for one in variants(first)] + [(first, one) for one in variants(second)]
    for one, other in lines:
        path.write_text(json.dumps(one) + "\n" + json.dumps(other) + "\n")
        found = read_lease(path)
        assert found is not None
        assert found.owner == NOBODY or isinstance(found.progress.done, int)
        assert lease_state(found, None, None, time.time()) in ("held", "left", "void")


def test_the_clock_of_another_host_may_be_a_day_ahead() -> None:
    now = time.time()
    ahead = Lease("t", NOBODY, "s", now, progress=Progress(updated=now + 86400))
    assert lease_state(replace(ahead, touched=now - 5), None, None, now) == "held"
    silent = replace(ahead, touched=now - STALE_AFTER_S - 1)
    assert lease_state(silent, None, None, now) == "void"
    assert lease_state(replace(ahead, touched=now + 86400), None, None, now) == "void"


def test_a_halt_file_of_any_contents_stops(tmp_path: Path) -> None:
    path = tmp_path / "halt.json"
    assert halt_reason(path, 1.0) == ""
    write_halt(path, "Ada", 50.0)
    assert halt_reason(path, 49.0) == ""
    assert halt_reason(path, 51.0) == "Ada asked to stop"
    for value in variants(json.loads(path.read_text())):
        path.write_text(json.dumps(value))
        assert isinstance(halt_reason(path, time.time()), str)
    path.write_text("[")
    assert "cannot be read" in halt_reason(path, 1.0)


def test_an_experiment_that_was_moved_does_not_come_back(tmp_path: Path) -> None:
    root = tmp_path / "EXP"
    (root / "failed").mkdir(parents=True)
    failure = Failure("OSError", "full", "trace", "host", "1", "s", 3.0)
    write_failure(root / "failed" / "runs_00000.json", failure)
    root.rename(tmp_path / "EXP2")
    with pytest.raises(ManifestError, match="EXP is gone"):
        write_failure(root / "failed" / "runs_00000.json", failure)
    with pytest.raises(ManifestError, match="EXP is gone"):
        write_submission(root / "jobs" / "ledger", new_submission("slurm"))
    assert not root.exists()


DELETE = """
import os, sys
from pathlib import Path
from panic_hpc.errors import PanicError
from panic_hpc.workspace.deletion import plan_deletion
# Only now, since this Python may be another user's.
os.setgid(65534); os.setuid(65534)
try:
    plan_deletion(Path(sys.argv[1]))
except PanicError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_deletion_that_another_users_folder_would_stop_is_not_begun(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == 0 and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    root = tmp_path / "EXP"
    (root / "jobs" / "submitit").mkdir(parents=True)
    (root / "manifest.json").write_text("{}")
    for path in (root, root / "jobs", root / "manifest.json"):
        os.chown(path, 65534, 65534)
    (root / "jobs" / "submitit").chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", DELETE, str(root)], capture_output=True, text=True, check=False
    )
    assert "may not delete" in done.stdout, done.stdout + done.stderr
    assert "jobs/submitit" in done.stdout


def test_records_keep_their_members() -> None:
    assert set(asdict(Progress())) == {"kind", "done", "total", "updated", "reason"}
