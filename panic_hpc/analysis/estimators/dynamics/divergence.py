"""How sensitive are runs to their seed and to the wording of their prompt?

Distances at matched states: of twins, which differ by their seed; of wordings of one prompt; of
strangers. Exact over all pairs, intervals by leaving out whole prompts, or groups of wordings.

A finite-time Lyapunov exponent, the slope of log distance, is above 0 for everything that spreads
from one point, chaos or none. What tells them apart is the bend: distances of what wanders and
forgets grow fastest at first, along a straight line at most, and those of exponential divergence
grow faster and faster until the space ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators import student
from panic_hpc.analysis.estimators.variance.ladder import (
    jackknife_error,
    jackknife_interval,
    left_out,
    pair_sums,
)
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Table = NDArray[np.float64]

FEWEST_STATES = 8
"""In the window of an exponent: two halves of four."""


@dataclass(frozen=True, slots=True)
class Courses:
    """Mean cosine distances by state, of all and without each unit: (states, 1 + units).

    twins of one prompt, wordings of one group, strangers of different groups; nan without a pair.
    """

    twins: Table
    wordings: Table
    strangers: Table


def courses(
    states: Iterable[NDArray[np.floating]],
    prompts: ArrayLike,
    units: ArrayLike,
    seeds: ArrayLike | None = None,
) -> Courses:
    """Return distances at some states.

    Args:
        states: the vectors (runs, D) of each, nan where a run has none.
        prompts: (runs,) labels.
        units: (runs,) labels: groups of wordings, or prompts where there are none.
        seeds: (runs,) where prompts share them: pairs then differ in their seed, as twins do.
    """
    labels = {"unit": units, "prompt": prompts} | ({} if seeds is None else {"seed": seeds})
    base = frozenset() if seeds is None else frozenset({"seed"})
    other = base | {"prompt"}
    rows = []
    for vectors in states:
        sums = pair_sums(np.asarray(vectors), labels, unit="unit")
        kinds = ((base, True), (other, True), (other, False))
        rows.append([left_out(sums, differs, same=same) for differs, same in kinds])
    table = np.array(rows, dtype=np.float64)
    return Courses(table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, slots=True)
class Exponent:
    """A finite-time Lyapunov exponent beside what no chaos would give.

    window     states that it is of, the first ones
    slope      of log distance of twins, a state
    line       the same of the straight line through these distances: no chaos
    bend       growth a state in the second half of the window less that in the first; bounds over
               units
    p          of the null that twins spread no faster later than at first, one-sided
    """

    window: int
    slope: float
    line: float
    bend: float
    low: float
    high: float
    p: float
    n_units: int


def exponent(twins: Table, strangers: Table, level: float = 0.95) -> Exponent:
    """Return the exponent of twins over successive states, from `Courses` of states 0, 1, 2 ….

    Raises AnalysisError where twins are half as far apart as strangers from the start, or units are
    too few.
    """
    n_units = twins.shape[1] - 1
    usable = np.isfinite(twins).all(axis=1) & np.isfinite(strangers[:, 0])
    window = int(np.argmin(usable)) if not usable.all() else len(usable)
    # By fours of states, so that one state's noise does not choose where the window ends.
    near = [
        bool(twins[at : at + 4, 0].mean() < strangers[:, 0][usable].mean() / 2)
        for at in range(0, window - 3, 4)
    ]
    window = 4 * (near.index(False) if False in near else len(near))
    if window < FEWEST_STATES or n_units < 3:
        raise AnalysisError(
            f"twins are nearer than half of strangers' distance for {counted(window, 'state')} of "
            f"{counted(n_units, 'prompt')}; it takes {FEWEST_STATES} and 3"
        )
    early = twins[:window]
    if not (early > 1e-12).all():
        raise AnalysisError("twins are in the very same place: there is no distance to grow")
    half = window // 2
    t = np.arange(window, dtype=np.float64)
    bends = _slopes(t[half:], early[half:]) - _slopes(t[:half], early[:half])
    bend, low, high = jackknife_interval(bends, level)
    error = jackknife_error(bends)
    line = early[:, 0].mean() + _slopes(t, early[:, :1]) * (t - t.mean())
    floor = max(float(line.min()), 1e-12)
    return Exponent(
        window,
        float(_slopes(t, np.log(early[:, :1]))[0]),
        float(_slopes(t, np.log(np.maximum(line, floor))[:, None])[0]),
        bend, low, high,
        student.p_above(bend, error, n_units - 1),
        n_units,
    )  # fmt: skip


def _slopes(t: Table, values: Table) -> Table:
    """Return the slope of each column of values (n, k) over t (n,)."""
    away = t - t.mean()
    return np.asarray(away @ values / (away @ away))
