"""Things done every so many seconds at most, and the slowest of things timed."""

from collections.abc import Iterator
from contextlib import contextmanager

from panic_hpc import clock


class Throttle:
    """Says when `interval_s` have passed since it last said so."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        # monotonic: clocks of nodes are set while jobs run.
        self._last = clock.monotonic()

    def is_due(self) -> bool:
        """Return True once an interval."""
        now = clock.monotonic()
        if now - self._last < self.interval_s:
            return False
        self._last = now
        return True


class Slowest:
    """Remembers the longest of the times it measured: the margin before a deadline."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the body, failed or not."""
        start = clock.monotonic()
        try:
            yield
        finally:
            self.note(clock.monotonic() - start)

    def note(self, seconds: float) -> None:
        """Take note of a time that was measured elsewhere."""
        self.seconds = max(self.seconds, seconds)
