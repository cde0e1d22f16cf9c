"""What a lease says of a shard's owner and of the work, and its two lines."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from panic_hpc.validation.record import Count, Moment
from panic_hpc.workspace.process import Process

Kind = Literal["running", "deadline", "stopped", "waiting"]

PROGRESS_BYTES = 1024
REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Progress:
    """The second line of a lease: how far the work is, and how it was left.

    `running` while somebody works on it; `deadline`, `stopped` and `waiting` say why it was left.
    """

    kind: Kind = "running"
    done: Count = 0
    total: Count = 0
    updated: Moment = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """One process's word that it works on a shard.

    `inherited` is how far the work was when it was taken over, `deaths` how many owners in a row
    were lost before this one without getting any further. `touched` is when the file was written,
    by the clock of the file system, None where it was not read from one.
    """

    token: str
    owner: Process
    submission: str
    taken: Moment
    inherited: Count = 0
    deaths: Count = 0
    progress: Progress = field(default_factory=Progress)
    touched: float | None = None


def encode_lease(lease: Lease) -> bytes:
    """Return the two lines of a lease's file."""
    first = {k: v for k, v in asdict(lease).items() if k not in ("progress", "touched")}
    return json.dumps(first).encode() + b"\n" + encode_progress(lease.progress)


def encode_progress(progress: Progress) -> bytes:
    """Return the second line: PROGRESS_BYTES long, so that it can be rewritten in place."""
    # A path that is no UTF-8 has halves of surrogate pairs, which JSON cannot hold.
    reason = progress.reason[:REASON_LENGTH].encode("utf-8", "backslashreplace").decode()
    short = replace(progress, reason=reason)
    line = json.dumps(asdict(short)).encode()
    if len(line) >= PROGRESS_BYTES:
        line = json.dumps(asdict(replace(progress, reason=""))).encode()
    return line.ljust(PROGRESS_BYTES - 1) + b"\n"
