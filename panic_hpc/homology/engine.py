"""The question that every engine is asked, and its answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Stop = Literal["", "budget", "deadline", "memory"]


@dataclass(frozen=True, slots=True)
class Request:
    """What an engine is asked for."""

    maxdim: int = 2
    """Largest homology dimension."""
    thresh: float = math.inf
    """Longest edge: a Euclidean length that float32 holds, whatever the metric."""
    threads: int = 1
    time_limit_s: float | None = None
    """Seconds from the start of the whole call; None for ever."""
    memory_limit_bytes: int | None = None
    budget: int | None = None
    """Operations that may be counted (lazy engine only)."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What an engine answers."""

    dgms: list[npt.NDArray[np.float32]]
    """Bars (n, 2) of the finished dimensions, as Euclidean lengths, in any order."""
    seconds: Mapping[str, float]
    """Wall time of each phase."""
    peak_bytes: int = 0
    columns_reduced: tuple[int, ...] = ()
    operations: int = 0
    stopped_reason: Stop = ""
