"""When does a run settle? The mean of its next states is no farther away than noise alone takes it.

Means of successive stretches of a run are compared with those of the same states in any order: of a
run that stands still but for noise all orders are alike, whatever the noise and its dimensions. A
run has settled with the first stretch from which some successive means do not move. What wanders
with a memory of several states does not settle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

HOLD = 3
"""Successive comparisons without motion that make a run settled."""
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Settling:
    """When a run settled.

    states       before it settled; of a run that did not, those in which it could have been seen to
    has_settled  whether it did
    leaves       whether it moves again later
    """

    states: int
    has_settled: bool
    leaves: bool


def settling(
    states: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    width: int = 10,
    draws: int = 199,
    alpha: float = 0.01,
) -> Settling:
    """Return when a run of unit vectors (T, D) settled, to the next `width` states.

    `alpha` is the rate at which one comparison of a run that stands still seems to move. Raises
    AnalysisError where a run is too short to be seen to settle, or not finite.
    """
    n = len(states) // width
    if n <= HOLD or not np.isfinite(states).all():
        raise AnalysisError(
            f"{counted(len(states), 'state')}: it takes {width * (HOLD + 1)} finite ones"
        )
    moves = _moves(np.asarray(states[: n * width], np.float64), width, rng, draws, alpha)
    still = np.convolve(~moves, np.ones(HOLD), "valid") > HOLD - 0.5
    if not still.any():
        return Settling(len(still) * width, False, False)
    at = int(still.argmax())
    return Settling(at * width, True, bool(moves[at + HOLD :].any()))


def _moves(
    states: NDArray[np.float64], width: int, rng: np.random.Generator, draws: int, alpha: float
) -> NDArray[np.bool_]:
    """Return whether the mean moves from each stretch of `width` states to the next."""
    signs = np.repeat([1.0, -1.0], width)
    orders = np.stack([signs, *(rng.permutation(signs) for _ in range(draws))])
    found = []
    for first in range(0, len(states) - width, width):
        both = states[first : first + 2 * width]
        away = both - both.mean(axis=0)
        gaps = ((orders @ (away @ away.T)) * orders).sum(axis=1) / width**2
        null = np.quantile(gaps[1:], 1 - alpha, method="higher")
        found.append(gaps[0] > max(float(null), _NOTHING))
    return np.array(found, bool)
