"""`panic-hpc` and `python -m panic_hpc`: Ctrl-C ends them in one line, from the first import on."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from panic_hpc import exit_codes


def main() -> None:
    """Run the command line; where SIGINT ended a verb, with one line and its own exit code."""
    _open_closed_streams()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupted)
    sys.unraisablehook = _heeding_interrupts(sys.unraisablehook)
    try:
        _run()
    except KeyboardInterrupt:
        _say()
        sys.exit(exit_codes.CTRL_C)


def _open_closed_streams() -> None:
    """Open what was closed of standard input, output and error, as /dev/null.

    Else the next file that is opened has such a number, a dataset that is written perhaps, and
    whatever a library prints goes into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _run() -> None:
    from panic_hpc.cli import main as run

    try:
        run()
    except SystemExit as ended:
        # typer makes this exit of a KeyboardInterrupt, and says nothing.
        if ended.code == exit_codes.CTRL_C:
            raise KeyboardInterrupt from None
        raise
    finally:
        _leave_at_once_from_now_on()


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but within an import leave at once: libraries make others of it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _leave()
        frame = frame.f_back
    raise KeyboardInterrupt


def _leave(number: int = 0, frame: FrameType | None = None) -> None:
    _say()
    os._exit(exit_codes.CTRL_C)


def _say() -> None:
    # Written past Python's streams, of which one may be half-way through a line.
    with suppress(OSError):
        os.write(2, b"\npanic-hpc: interrupted\n" if os.isatty(2) else b"panic-hpc: interrupted\n")


def _leave_at_once_from_now_on() -> None:
    """Let an interpreter that only closes down still do so without a trace."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, _leave)


def _heeding_interrupts(before: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a hook for errors that nobody can catch, which ends the process for this one."""

    def hook(unraisable: Any) -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            _leave()
        before(unraisable)

    return hook


if __name__ == "__main__":
    main()
