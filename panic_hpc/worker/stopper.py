"""Why a worker should stop now: its walltime, the halt file, a signal, a lost lease or GPU.

Nothing here needs a signal from Slurm: the deadline is in the environment, put there on the host.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from panic_hpc import clock
from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.disk.system import remove
from panic_hpc.errors import AbsentError, PanicError
from panic_hpc.validation.record import Moment, read_record
from panic_hpc.workspace.process import start_ticks

Cause = Literal["", "deadline", "halt", "signal", "lease", "parent", "device"]

DEADLINE_VARIABLE = "PANIC_HPC_DEADLINE"
RESERVE_S = 15.0
"""Kept of the walltime for writing the checkpoint and leaving."""
MARGIN_S = 5.0
"""Work that ends by itself at its deadline gets its say before it is asked to stop."""
LOOK_EVERY_S = 2.0
# SIGHUP comes when the ssh session of a local submission is lost.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Stopper:
    """Answers `should_stop`; the first cause found stays the answer.

    `deadline` is in seconds since the epoch, None without one; `parent` the pid of the process
    that this one works for, 0 for none.
    """

    halt_file: Path
    deadline: float | None = None
    parent: int = 0
    is_lease_lost: Callable[[], bool] = lambda: False
    cause: Cause = ""
    reason: str = ""
    _looked: float = 0.0
    _parent_started: int = field(init=False)

    def __post_init__(self) -> None:
        self._parent_started = start_ticks(self.parent) if self.parent else -1

    def __call__(self, margin_s: float) -> str:
        """Return "" or the reason to stop; `margin_s` is what the next step may take."""
        if not self.cause and self._deadline_is_near(margin_s):
            self._stop("deadline", "the walltime ends before the next step would")
        now = clock.monotonic()
        # The clock is asked at every step, files only now and then: they lie on a shared file
        # system.
        if not self.cause and now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._look()
        return self.reason

    def forget_lease(self) -> None:
        """Go on after a lost lease: it concerned one shard only."""
        if self.cause == "lease":
            self.cause, self.reason = "", ""
        self.is_lease_lost = lambda: False

    def lose_device(self, reason: str) -> None:
        """Stop before the next shard: this process has lost its GPU, and another need not."""
        if not self.cause:
            self._stop("device", reason)

    def signalled(self, number: int, frame: Any = None) -> None:
        """Note a signal; it may come twice (Slurm and the container's runtime both send it)."""
        if not self.cause:
            self._stop("signal", f"received {signal.Signals(number).name}")

    @property
    def work_until(self) -> float | None:
        """When work must have ended (seconds since the epoch): a moment before the walltime."""
        return None if self.deadline is None else self.deadline - RESERVE_S - MARGIN_S

    def _deadline_is_near(self, margin_s: float) -> bool:
        return self.deadline is not None and clock.now() + margin_s + RESERVE_S >= self.deadline

    def _look(self) -> None:
        if self.is_lease_lost():
            self._stop("lease", "another process has taken this shard over")
        elif reason := halt_reason(self.halt_file, clock.now()):
            self._stop("halt", reason)
        # By start time as well, since pids are used again.
        elif self.parent and start_ticks(self.parent) != self._parent_started:
            self._stop("parent", "the process that submitted this work has ended")

    def _stop(self, cause: Cause, reason: str) -> None:
        self.cause, self.reason = cause, reason


def deadline(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return when the walltime ends (seconds since the epoch), None where nobody says so."""
    for name in (DEADLINE_VARIABLE, "SLURM_JOB_END_TIME"):
        if environ.get(name, "").isdigit():
            return float(environ[name])
    return None


@contextmanager
def signals_noted(stopper: Stopper) -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP end the work at the next step instead of at once.

    A second SIGINT raises KeyboardInterrupt, for people who mean it. Signals that are ignored
    here (a worker whose terminal belongs to somebody else) stay ignored.
    """

    def note(number: int, frame: Any) -> None:
        if number == signal.SIGINT and stopper.cause:
            raise KeyboardInterrupt
        stopper.signalled(number, frame)

    before = {n: signal.getsignal(n) for n in SIGNALS if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        # After submitit's own handlers, which swallow SIGTERM; the later ones win.
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Halt:
    """A request to stop: by whom, from when on (None: at once), and when it was written."""

    by: str
    at: Moment | None
    written: Moment


def halt_reason(path: Path, now: float) -> str:
    """Return why the halt file says to stop now, "" where it does not."""
    try:
        request = read_record(Halt, path)
    except AbsentError:
        return ""
    # Whoever wrote it wanted a stop, and one more than needed costs nothing.
    except PanicError as error:
        return f"{path.name} is there and cannot be read ({error.message})"
    return "" if request.at is not None and now < request.at else f"{request.by} asked to stop"


def clear_halt(path: Path) -> bool:
    """Remove a halt file that asks to stop now; return whether there was one."""
    is_asked = bool(halt_reason(path, clock.now()))
    if is_asked:
        remove(path)
    return is_asked


def write_halt(path: Path, by: str, at: float | None) -> None:
    """Ask all workers to stop after their next checkpoint, from `at` (epoch) on or at once."""
    replace_file(path, to_json({"by": by, "at": at, "written": clock.now()}))
