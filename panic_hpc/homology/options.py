"""The options of `diagrams`, checked before any work is done."""

import math
import operator
from typing import Any

from panic_hpc.errors import HomologyError
from panic_hpc.memory import memory_bytes

MOST_THREADS = 1024
MOST_COUNTED = 2**63 - 1
"""Of operations or bytes: the native core counts in 64 bits."""


def whole(name: str, value: Any, least: int, most: int = MOST_COUNTED) -> int:
    """Return an option that must be a whole number in [least, most]."""
    try:
        # int() would make 2.9 a 2, and a text a number.
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        upper = "" if most == MOST_COUNTED else f" to {most}"
        raise HomologyError(
            f"{name} is {value!r}", hint=f"Use a whole number from {least}{upper or ' on'}."
        )
    return number


def real(name: str, value: Any, hint: str) -> float:
    """Return an option that must be a number, inf allowed."""
    try:
        number = float(value)
    # float() of a whole number of 400 digits overflows.
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise HomologyError(f"{name} is {value!r}", hint=hint)
    return number


def seconds(time_limit_s: Any) -> float | None:
    """Return how long a call may take, None for ever."""
    if time_limit_s is None:
        return None
    number = real("time_limit_s", time_limit_s, "Give seconds from now, or None.")
    # A negative one is no error but time that is over already.
    return None if math.isinf(number) and number > 0 else number


def memory_limit(gigabytes: Any) -> int | None:
    """Return the bytes that an engine may hold: as asked, else all that this process may have."""
    if gigabytes is None:
        return memory_bytes()
    number = real("memory_limit_gb", gigabytes, "Give gigabytes (1e9 bytes), or None.")
    if number <= 0:
        raise HomologyError(f"memory_limit_gb is {gigabytes}", hint="Give more than 0, or None.")
    nbytes = number * 1e9
    # At least 1, for 0 means no limit to the native core.
    return None if nbytes >= MOST_COUNTED else max(1, int(nbytes))
