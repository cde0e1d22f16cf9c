"""Read by every Python that finds this folder in PYTHONPATH: calls of slow models wait at a gate.

GATE has a number and a file. So many calls of a process go through, and take long enough that its
progress is written down to be seen; those after them wait until the file is there, or a signal asks
the process to stop. Then they sleep as long as they are told to, as they do without a gate.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A lease says how far its work is no more than once a second.
FREE_S = 0.6
POLL_S = 0.02
SLOW = "panic_hpc.models.families.arithmetic"
# What ends a worker at its next step; none of them is ignored by it but SIGINT.
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def told_of_signals() -> Iterator[list[int]]:
    """Give the list to which signals are added that arrive meanwhile, before they are handled."""
    told: list[int] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: Any) -> None:
        told.append(number)
        if callable(handler := handlers[signal.Signals(number)]):
            handler(number, frame)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield told
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def install(n_free: int, gate: str) -> None:
    from panic_hpc import clock

    sleep, calls = clock.sleep, 0

    def gated(seconds: float) -> None:
        nonlocal calls
        if sys._getframe(1).f_globals["__name__"] == SLOW:
            calls += 1
            if calls <= n_free:
                seconds = max(seconds, FREE_S)
            else:
                with told_of_signals() as told:
                    while not (told or os.path.exists(gate)):
                        sleep(POLL_S)
        sleep(seconds)

    clock.sleep = gated


if "GATE" in os.environ:
    number, _, path = os.environ["GATE"].partition(" ")
    install(int(number), path)
