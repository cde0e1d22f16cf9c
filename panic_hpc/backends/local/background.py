"""A submission on this machine by a process of its own, for callers that go on meanwhile.

It belongs to no terminal and outlives whoever started it; `stop` and `cancel` end it.
"""

import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.backends.base import SilentWatcher, SubmitRequest, backend_of
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.disk.directories import make_directory
from panic_hpc.disk.files import append_to
from panic_hpc.errors import LaunchError
from panic_hpc.workspace.ledger import Submission, read_ledger
from panic_hpc.workspace.workspace import Workspace, open_workspace

LOG = "background.log"
POLL_S = 0.2


def start(workspace: Workspace, request: SubmitRequest) -> Submission:
    """Start `submit` in a process of its own; return its submission once that is in the ledger.

    Raises LaunchError, with its last words, where it ends before that.
    """
    jobs = workspace.paths.jobs
    make_directory(jobs)
    command = [sys.executable, "-P", "-m", __name__, str(workspace.paths.root)]
    with append_to(jobs / LOG) as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    assert process.stdin
    process.stdin.write(encode_request(request))
    process.stdin.close()
    # Somebody must take note of its end, or it would stay a zombie of this process.
    threading.Thread(target=process.wait, daemon=True).start()
    while not (submission := _submission_of(process.pid, workspace)):
        if process.poll() is not None:
            raise LaunchError("The submission ended before it began", hint=f"See {jobs / LOG}")
        clock.sleep(POLL_S)
    return submission


def _submission_of(pid: int, workspace: Workspace) -> Submission | None:
    own = [one for one in read_ledger(workspace.paths.ledger) if one.pid == pid]
    return own[-1] if own else None


def encode_request(request: SubmitRequest) -> bytes:
    """Return a request as JSON."""
    value = asdict(replace(request, cluster=None))  # type: ignore[arg-type]
    # What is left out stays so: a profile says only what it was told.
    value["cluster"] = request.cluster.model_dump(mode="json", exclude_unset=True)
    return json.dumps(value).encode()


def decode_request(content: bytes) -> SubmitRequest:
    """Return the request that `encode` wrote."""
    value: dict[str, Any] = json.loads(content)
    cluster = Cluster.model_validate(value.pop("cluster"))
    return SubmitRequest(cluster, **{**value, "stages": tuple(value["stages"])})


def main() -> None:
    """Read a request from standard input and carry it out in the experiment that is named."""
    request = decode_request(sys.stdin.buffer.read())
    workspace = open_workspace(Path(sys.argv[1]))
    backend_of(request.cluster).submit(workspace, request, SilentWatcher())


if __name__ == "__main__":
    main()
