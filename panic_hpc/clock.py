"""The one clock: whoever asks for the time, measures or waits does it here.

Moments are seconds since the epoch (UTC), durations seconds. A simulated world puts a clock of its
own in place of this machine's, with `replaced`; nothing else of the package asks the system.
"""

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Clock(Protocol):
    """What tells the time and lets it pass."""

    def now(self) -> float:
        """Return the moment, in seconds since the epoch; it can jump, and differs by host."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment of this process; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class MachineClock:
    """This machine's clock."""

    now = staticmethod(time.time)
    # What measures best is monotonic too.
    monotonic = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)


_clock: Clock = MachineClock()


@contextmanager
def replaced(by: Clock) -> Iterator[None]:
    """Let `by` tell this process the time, meanwhile."""
    global _clock
    before, _clock = _clock, by
    try:
        yield
    finally:
        _clock = before


def now() -> float:
    """Return the moment, in seconds since the epoch."""
    return _clock.now()


def monotonic() -> float:
    """Return seconds since some moment of this process, for differences: it never goes back."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Return after `seconds`."""
    _clock.sleep(seconds)


def utc(moment: float | None = None) -> datetime.datetime:
    """Return a moment, now where none is given, as a date and time of UTC."""
    return datetime.datetime.fromtimestamp(now() if moment is None else moment, datetime.UTC)


def stamp(moment: float | None = None) -> str:
    """Return a moment as a part of names, whose order is that of the moments, to the second.

    >>> stamp(0.0)
    '19700101T000000'
    """
    return f"{utc(moment):%Y%m%dT%H%M%S}"
