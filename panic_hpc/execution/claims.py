"""Claims: which process works on a shard now, how far it is, and when that word is void.

A claim is a file made by link(2), so the first one wins, on NFS too and without locks. Its first
line says who; its second line, of fixed length, is rewritten in place through the descriptor that
made it. An owner that was taken for dead (a suspended machine) therefore writes to a file that
nobody sees any more, and never over its successor's.

A void claim X is replaced by whoever creates the file `X.successor`, by link(2) again, and then
renames it over X: from a dead claim there is exactly one successor.
"""

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from panic_hpc.execution.identity import Process, SlurmIds, is_running
from panic_hpc.files import create_file

Kind = Literal["running", "deadline", "stopped", "waiting"]
Standing = Literal["held", "left", "void"]

STALE_AFTER_S = 600.0
"""Silence after which the claim of a process on another host is void."""
# Thirty beats before a claim is stale: a file server that hangs for minutes costs nobody a shard.
HEARTBEAT_S = 20.0
# Steps may take milliseconds, and every report is a write to the shared file system.
REPORT_EVERY_S = 1.0
PROGRESS_BYTES = 1024
REASON_LENGTH = 300
# Of no boot, so that nothing can be seen of it from anywhere, and its age alone decides.
NOBODY = Process("", "", "", 0, 0, "", SlurmIds())


@dataclass(frozen=True, slots=True)
class Progress:
    """The second line of a claim: how far the work is, and how it was left.

    `running` while somebody works on it; `deadline`, `stopped` and `waiting` say why it was left.
    """

    kind: Kind = "running"
    done: int = 0
    total: int = 0
    updated: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One process's word that it works on a shard.

    `inherited` is how far the work was when it was taken over, `deaths` how many owners in a row
    were lost before this one without getting any further.
    """

    token: str
    owner: Process
    submission: str
    taken: float
    inherited: int = 0
    deaths: int = 0
    progress: Progress = field(default_factory=Progress)


def standing(claim: Claim, me: Process | None, alive: bool | None, now: float) -> Standing:
    """Return what `claim` is worth to `me` (None for an onlooker); pure.

    `alive` is what can be seen of its owner from here, None where nothing can.
    """
    if claim.progress.kind != "running":
        return "left"
    # Before the heartbeat, which looks fresh for ten minutes after a node was lost.
    if me and _is_earlier_attempt(claim.owner, me):
        return "void"
    if alive is not None:
        return "held" if alive else "void"
    return "void" if now - claim.progress.updated > STALE_AFTER_S else "held"


def _is_earlier_attempt(owner: Process, me: Process) -> bool:
    """Slurm starts a job again only after its earlier attempt has ended or its node was lost."""
    mine, theirs = me.slurm, owner.slurm
    return bool(mine.job) and mine.job == theirs.job and mine.restarts > theirs.restarts


def encode(claim: Claim) -> bytes:
    """Return the two lines of a claim's file."""
    first = {key: value for key, value in asdict(claim).items() if key != "progress"}
    return json.dumps(first).encode() + b"\n" + encode_progress(claim.progress)


def encode_progress(progress: Progress) -> bytes:
    """Return the second line: PROGRESS_BYTES long, so that it can be rewritten in place."""
    short = replace(progress, reason=progress.reason[:REASON_LENGTH])
    line = json.dumps(asdict(short)).encode()
    if len(line) >= PROGRESS_BYTES:
        line = json.dumps(asdict(replace(progress, reason=""))).encode()
    return line.ljust(PROGRESS_BYTES - 1) + b"\n"


def read_claim(path: Path) -> Claim | None:
    """Return the claim in `path`, None where there is none; a damaged one is nobody's, long ago."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    try:
        first, second, *_ = content.split(b"\n")
        value: dict[str, Any] = json.loads(first)
        progress = Progress(**json.loads(second))
        return Claim(**{**value, "owner": Process.from_json(value["owner"]), "progress": progress})
    except (ValueError, TypeError, KeyError):
        # The same token for everyone who reads it, so that a damaged claim has one successor too.
        return Claim(hashlib.sha256(content).hexdigest()[:16], NOBODY, "", 0.0)


def holder(path: Path) -> tuple[Claim | None, list[Path]]:
    """Return the last of the chain of claims that begins at `path`, and the chain's files."""
    claim, files = read_claim(path), [path]
    # More than one link where a process died between creating its successor file and renaming it.
    while claim and (following := read_claim(successor(path, claim))):
        files.append(successor(path, claim))
        claim = following
    return claim, files


def successor(path: Path, claim: Claim) -> Path:
    """Return the name under which exactly one process may follow `claim`."""
    return path.with_name(f".{path.name}.{claim.token}.successor")


class HeldClaim:
    """A claim of this process. A thread keeps it fresh; `lost()` says when it is void.

    Use as a context manager: on leaving, the claim is released unless `leave` was called.
    """

    def __init__(self, path: Path, claim: Claim, predecessor: Claim | None) -> None:
        self.path = path
        self.claim = claim
        self.predecessor = predecessor
        self._offset = len(encode(claim)) - PROGRESS_BYTES
        self._descriptor = os.open(path, os.O_WRONLY)
        self._progress = claim.progress
        self._written = 0.0
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> "HeldClaim":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._finished.set()
        self._thread.join()
        # Before the unlink: NFS keeps a file that is removed while open, under a name of its own.
        os.close(self._descriptor)
        if self._progress.kind == "running" and not self.lost():
            self.path.unlink(missing_ok=True)

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        return self._progress

    def report(self, done: int, total: int) -> None:
        """Say how far the work is; cheap enough for every step."""
        self._progress = replace(self._progress, done=done, total=total)
        if time.monotonic() - self._written >= REPORT_EVERY_S:
            self._write()

    def leave(self, kind: Kind, reason: str) -> None:
        """Give the shard up and leave word why; the next process takes it from here."""
        self._progress = replace(self._progress, kind=kind, reason=reason)
        self._write(durable=True)

    def lost(self) -> bool:
        """Return whether somebody else has taken this claim for void."""
        current = read_claim(self.path)
        return (
            current is None
            or current.token != self.claim.token
            or successor(self.path, self.claim).exists()
        )

    def _beat(self) -> None:
        while not self._finished.wait(HEARTBEAT_S):
            self._write(durable=True)

    def _write(self, *, durable: bool = False) -> None:
        with self._lock:
            self._progress = replace(self._progress, updated=time.time())
            self._written = time.monotonic()
            # On NFS the file of a claim that was replaced is stale: that is for lost() to say.
            with suppress(OSError):
                os.pwrite(self._descriptor, encode_progress(self._progress), self._offset)
                # NFS clients may keep a write to themselves until fsync; others judge this claim by
                # it.
                if durable:
                    os.fsync(self._descriptor)


def take(
    path: Path,
    me: Process,
    submission: str,
    *,
    is_gone: Callable[[Claim], bool] = lambda claim: False,
) -> HeldClaim | None:
    """Claim the shard whose claim is `path`; None where another process holds it.

    `is_gone` may know more than what can be seen from here (the scheduler's word).
    """
    now = time.time()
    claim = Claim(secrets.token_hex(8), me, submission, now, progress=Progress(updated=now))
    if create_file(path, encode(claim)):
        return HeldClaim(path, claim, None)
    current, files = holder(path)
    if current is None:
        return None
    worth = standing(current, me, is_running(current.owner), now)
    if worth == "held" and not is_gone(current):
        return None
    return _succeed(path, inherit(claim, current, worth), current, files)


def inherit(claim: Claim, current: Claim, worth: Standing) -> Claim:
    """Return `claim` with what it takes over from `current`; pure.

    An attempt that Slurm requeued (preemption, node failure) is no death.
    """
    requeued = _is_earlier_attempt(current.owner, claim.owner)
    stuck = current.progress.done <= current.inherited
    # Progress starts the count anew: a long shard may lose many owners and still get there.
    deaths = (current.deaths if stuck else 0) + (worth != "left" and not requeued)
    progress = replace(claim.progress, done=current.progress.done, total=current.progress.total)
    return replace(claim, inherited=current.progress.done, deaths=deaths, progress=progress)


def _succeed(path: Path, claim: Claim, current: Claim, files: list[Path]) -> HeldClaim | None:
    name = successor(path, current)
    if not create_file(name, encode(claim)):
        return None
    reached, _ = holder(path)
    # Where `current` had been replaced already, nothing leads to this file, and another process
    # holds the shard.
    if reached is None or reached.token != claim.token:
        name.unlink(missing_ok=True)
        return None
    os.rename(name, path)
    # Links of processes that died before their rename; removed last, since they lead to this one.
    for stale in files[1:]:
        stale.unlink(missing_ok=True)
    return HeldClaim(path, claim, current)
