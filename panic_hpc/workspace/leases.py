"""Leases: which process works on a shard now, how far it is, and when that word is void.

A lease is a file made by link(2), so the first one wins, on NFS too and without locks. Its first
line says who; its second line, of fixed length, is rewritten in place through the descriptor that
made it. An owner that was taken for dead (a suspended machine) therefore writes to a file that
nobody sees any more, and never over its successor's.

A void lease X is replaced by whoever creates the file `X.successor`, by link(2) again, and then
renames it over X: from a dead lease there is exactly one successor.
"""

import hashlib
import math
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from panic_hpc import clock
from panic_hpc.disk import system
from panic_hpc.disk.blocks import write_at
from panic_hpc.disk.files import create_file, read_regular
from panic_hpc.disk.publish import rename_over
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.validation.record import as_record
from panic_hpc.workspace.lease_text import (
    PROGRESS_BYTES,
    Kind,
    Lease,
    Progress,
    encode_lease,
    encode_progress,
)
from panic_hpc.workspace.process import Process, SlurmIds, is_running

LeaseState = Literal["held", "left", "void"]

STALE_AFTER_S = 600.0
"""Silence after which the lease of a process on another host is void."""
# Thirty beats before a lease is stale: a file server that hangs for minutes costs nobody a shard.
HEARTBEAT_S = 20.0
# Steps may take milliseconds, and every report is a write to the shared file system.
REPORT_EVERY_S = 1.0
LARGEST_BYTES = 64 * 1024
LONGEST_CHAIN = 1000
# Of no boot, so that nothing can be seen of it from anywhere, and its age alone decides.
NOBODY = Process("", "", "", 0, 0, "", SlurmIds())
_HELD: set[str] = set()
"""Tokens of the leases that this process works under, or is about to."""


def seen_state(lease: Lease, me: Process | None, now: float) -> LeaseState:
    """Return what `lease` means to `me` (None for an onlooker), by what can be seen from here."""
    alive = is_running(lease.owner)
    # Made by this process, which an error kept from opening or removing it: nobody works under it,
    # and who waited for that would wait for itself.
    if alive and lease.owner.pid == os.getpid() and lease.token not in _HELD:
        return "left"
    return lease_state(lease, me, alive, now)


def lease_state(lease: Lease, me: Process | None, alive: bool | None, now: float) -> LeaseState:
    """Return what `lease` means to `me` (None for an onlooker); pure.

    `alive` is what can be seen of its owner from here, None where nothing can.
    """
    if lease.progress.kind != "running":
        return "left"
    # Before the heartbeat, which looks fresh for ten minutes after a node was lost.
    if me and _is_earlier_attempt(lease.owner, me):
        return "void"
    if alive is not None:
        return "held" if alive else "void"
    return "void" if _silence(lease, now) > STALE_AFTER_S else "held"


def _silence(lease: Lease, now: float) -> float:
    """Return for how many seconds nothing was heard from the owner of a lease."""
    silence = now - lease.progress.updated
    if silence >= -STALE_AFTER_S or lease.touched is None:
        return silence
    # The owner's clock is ahead; the file system's is everybody's. Where that is no better, nothing
    # can be said, and an owner who lives is fenced out by his lease.
    silence = now - lease.touched
    return silence if silence >= -STALE_AFTER_S else math.inf


def _is_earlier_attempt(owner: Process, me: Process) -> bool:
    """Slurm starts a job again only after its earlier attempt has ended or its node was lost."""
    mine, theirs = me.slurm, owner.slurm
    return bool(mine.job) and mine.job == theirs.job and mine.restarts > theirs.restarts


def read_lease(path: Path) -> Lease | None:
    """Return the lease in `path`, None where there is none; a damaged one is nobody's, long ago."""
    try:
        content, touched = read_regular(path, LARGEST_BYTES), path.stat().st_mtime
    except OSError:
        return None
    except ValueError as error:
        content, touched = str(error).encode(), 0.0
    try:
        first, second, *_ = content.split(b"\n")
        value = {**parse_json(first), "progress": parse_json(second), "touched": touched}
        return as_record(Lease, value)
    except (ValueError, TypeError):
        # The same token for everyone who reads it, so that a damaged lease has one successor too.
        return Lease(hashlib.sha256(content).hexdigest()[:16], NOBODY, "", 0.0)


def holder(path: Path) -> tuple[Lease | None, list[Path]]:
    """Return the last of the chain of leases that begins at `path`, and the chain's files."""
    lease, files = read_lease(path), [path]
    # More than one link where a process died before it renamed its successor file.
    while (
        lease and len(files) < LONGEST_CHAIN and (following := read_lease(successor(path, lease)))
    ):
        files.append(successor(path, lease))
        lease = following
    return lease, files


def seen(path: Path, me: Process | None, now: float) -> tuple[Lease, LeaseState, list[Path]] | None:
    """Return the lease that is in force at `path`, its state and its chain; None where none is."""
    lease, files = holder(path)
    while lease:
        state = seen_state(lease, me, now)
        # The last act of an owner is a word in its lease, or the lease's removal: where it has
        # ended, what was read before that was seen may not be its last word yet.
        before = lease
        lease, files = holder(path) if state == "void" else (lease, files)
        if lease == before:
            return lease, state, files
    return None


def successor(path: Path, lease: Lease) -> Path:
    """Return the name under which exactly one process may follow `lease`."""
    return path.with_name(f".{path.name}.{lease.token}.successor")


class HeldLease:
    """A lease of this process. A thread keeps it fresh; `lost()` says when it is void.

    Use as a context manager: on leaving, the lease is released unless `leave` was called.
    """

    def __init__(self, path: Path, lease: Lease, predecessor: Lease | None) -> None:
        self.path = path
        self.lease = lease
        self.predecessor = predecessor
        self._offset = len(encode_lease(lease)) - PROGRESS_BYTES
        self._descriptor = system.open_existing(path)
        self._progress = lease.progress
        self._written = 0.0
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> "HeldLease":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._finished.set()
        self._thread.join()
        _HELD.discard(self.lease.token)
        # Before the unlink: NFS keeps a file that is removed while open, under a name of its own.
        # An error of it is of a beat, which says nothing of the work.
        with suppress(OSError):
            os.close(self._descriptor)
        if self._progress.kind == "running" and not self.lost():
            system.remove(self.path)

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        return self._progress

    def report(self, done: int, total: int) -> None:
        """Say how far the work is; cheap enough for every step."""
        self._progress = replace(self._progress, done=done, total=total)
        if clock.monotonic() - self._written >= REPORT_EVERY_S:
            self._write()

    def leave(self, kind: Kind, reason: str) -> None:
        """Give the shard up and leave word why; the next process takes it from here."""
        self._progress = replace(self._progress, kind=kind, reason=reason)
        self._write(durable=True)

    def lost(self) -> bool:
        """Return whether somebody else has taken this lease for void."""
        # This name first: it goes away in the rename, perhaps between the two looks.
        if successor(self.path, self.lease).exists():
            return True
        current = read_lease(self.path)
        return current is None or current.token != self.lease.token

    def _beat(self) -> None:
        while not self._finished.wait(HEARTBEAT_S):
            self._write(durable=True)

    def _write(self, *, durable: bool = False) -> None:
        with self._lock:
            self._progress = replace(self._progress, updated=clock.now())
            self._written = clock.monotonic()
            with suppress(OSError):
                line = memoryview(encode_progress(self._progress))
                write_at(self._descriptor, line, self._offset)
                # NFS clients may keep a write to themselves until fsync; others judge by it.
                if durable:
                    system.sync(self._descriptor)


def take(
    path: Path,
    me: Process,
    submission: str,
    *,
    is_gone: Callable[[Lease], bool] = lambda lease: False,
) -> HeldLease | None:
    """Lease the shard whose lease is `path`; None where another process holds it.

    `is_gone` may know more than what can be seen from here (the scheduler's word).
    """
    now = clock.now()
    lease = Lease(secrets.token_hex(8), me, submission, now, progress=Progress(updated=now))
    # Before its file is there: other threads of this process look at it too.
    _HELD.add(lease.token)
    held = None
    try:
        held = _taken(path, lease, is_gone)
    finally:
        if held is None:
            _HELD.discard(lease.token)
    return held


def _taken(path: Path, lease: Lease, is_gone: Callable[[Lease], bool]) -> HeldLease | None:
    if create_file(path, encode_lease(lease)):
        return _opened(path, lease, None)
    found = seen(path, lease.owner, lease.taken)
    if found is None:
        return None
    current, state, files = found
    if state == "held" and not is_gone(current):
        return None
    return _succeed(path, inherit(lease, current, state), current, files)


def inherit(lease: Lease, current: Lease, state: LeaseState) -> Lease:
    """Return `lease` with what it takes over from `current`; pure.

    An attempt that Slurm requeued (preemption, node failure) is no death.
    """
    requeued = _is_earlier_attempt(current.owner, lease.owner)
    stuck = current.progress.done <= current.inherited
    # Progress starts the count anew: a long shard may lose many owners and still get there.
    deaths = (current.deaths if stuck else 0) + (state != "left" and not requeued)
    progress = replace(lease.progress, done=current.progress.done, total=current.progress.total)
    return replace(lease, inherited=current.progress.done, deaths=deaths, progress=progress)


def _succeed(path: Path, lease: Lease, current: Lease, files: list[Path]) -> HeldLease | None:
    name = successor(path, current)
    if not create_file(name, encode_lease(lease)):
        return None
    reached, _ = holder(path)
    # Where `current` had been replaced already, nothing leads to this file: another holds it.
    if reached is None or reached.token != lease.token:
        system.remove(name)
        return None
    with system.named(path), suppress(FileNotFoundError):
        rename_over(name, path)
        # Links of processes that died before their rename lead here: they go last.
        for stale in files[1:]:
            system.remove(stale)
        return _opened(path, lease, current)
    return None


def _opened(path: Path, lease: Lease, predecessor: Lease | None) -> HeldLease | None:
    """Return a lease that has just got its name, None where the name is another's by now."""
    # Others may have taken it for void meanwhile, and even be done with it.
    with suppress(FileNotFoundError):
        held = HeldLease(path, lease, predecessor)
        # A name never comes back: what is ours after the opening was ours then.
        if not held.lost():
            return held
        os.close(held._descriptor)
    return None
