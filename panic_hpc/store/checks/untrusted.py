"""Checking a file from strangers in a child process with limits: whatever it does, we survive."""

import json
import resource
import subprocess
import sys
from pathlib import Path

from panic_hpc.store.checks.rules import REDO_DATASET, Finding
from panic_hpc.store.checks.sampling import Sample
from panic_hpc.store.checks.verify import Verified, verify_file

MEMORY_BYTES = 4 * 2**30
TIMEOUT_S = 3600
_CHILD = "from panic_hpc.store.checks.untrusted import child; child()"


def verify_in_child(path: Path, sample: Sample, timeout_s: float = TIMEOUT_S) -> Verified:
    """Check a file in a child; its death, or its silence for too long, is a finding."""
    command = [sys.executable, "-P", "-c", _CHILD, str(path), str(sample.low), str(sample.high)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout_s,
            preexec_fn=_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _refused(path, f"checking it took longer than {timeout_s:.0f} s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return _refused(path, f"checking it ended the process: {lines[-1]}")
    return _decoded(path, done.stdout)


def _limit() -> None:
    # Address space, mapped libraries included; Linux ignores the limit on resident memory.
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    # A shell's own limit may be lower, and cannot be raised.
    bound = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    # Files made to crash HDF5 would fill the disk with cores.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The child only reads; its answer goes through a pipe, which has no such limit.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _refused(path: Path, reason: str) -> Verified:
    return Verified(path, "", "", (Finding("F01", str(path), reason, REDO_DATASET),))


def _decoded(path: Path, output: str) -> Verified:
    value = json.loads(output)
    findings = (
        Finding(one["rule"], one["path"], one["message"], one["hint"]) for one in value["findings"]
    )
    kind, key = value["kind"], value["content_key"]
    counts = int(value["n_incomplete"]), int(value["n_undecoded"])
    return Verified(path, kind, key, tuple(findings), *counts, tuple(value["not_repeatable"]))


def child() -> None:
    """Check the file that the command line names and print the result as JSON."""
    path, low, high = sys.argv[1:]
    found = verify_file(Path(path), Sample(float(low), float(high)))
    value = {
        "kind": found.kind,
        "content_key": found.content_key,
        "n_incomplete": found.n_incomplete,
        "n_undecoded": found.n_undecoded,
        "not_repeatable": found.not_repeatable,
        "findings": [finding.to_json() for finding in found.findings],
    }
    sys.stdout.write(json.dumps(value))
