"""Does a run still know its prompt? Distances of twins and of strangers over time.

Twins are two runs of one prompt in one network, strangers runs of two prompts. Memory is the share
of the distance of strangers, without noise, that is owed to their prompts: (strangers - twins) /
(strangers - noise); 0 where the prompt is forgotten. Prompts are the units, left out one at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.variance.ladder import PairSums, left_out, pair_sums

Column = NDArray[np.float64]
VERDICTS = FORGOTTEN, KEPT, NOT_YET_TOLD = "forgotten", "kept", "not yet told"


@dataclass(frozen=True, slots=True)
class Apart:
    """Mean cosine distances over some states, (1 + prompts,): of all, then without each prompt.

    `states` is the mean of these states' numbers. nan where there is no pair.
    """

    states: float
    twins: Column
    strangers: Column


def time_bins(n_states: int, bins: int = 16, samples: int = 4) -> list[NDArray[np.int64]]:
    """Return states of each of some equal stretches of 0 … n_states - 1, `samples` of each at most.

    Neighbouring states say nearly the same; a few of each stretch are enough.
    """
    stretches = np.array_split(np.arange(n_states), min(bins, n_states)) if n_states else []
    return [
        np.unique(part[np.rint(np.linspace(0, len(part) - 1, samples)).astype(int)])
        for part in stretches
    ]


def distances_apart(
    states_at: Callable[[NDArray[np.int64]], NDArray[np.floating]],
    bins: list[NDArray[np.int64]],
    prompts: ArrayLike,
    seeds: ArrayLike | None = None,
) -> tuple[list[Apart], Apart | None, Apart | None]:
    """Return distances of twins and strangers in each bin, at half time, and in the last quarter.

    Half time is the eighth of the states before the middle, so that the last quarter is twice as
    old. Runs whose `seeds` are equal share their noise where noise is the same for all prompts: if
    twins differ in it, so do the strangers that are compared with them.

    `states_at(t)` gives the vectors (runs, states, D) of states t, nan where a run has none.
    """
    labels = {"prompt": np.asarray(prompts)}
    if seeds is not None and _twins_differ(prompts, seeds):
        labels["seed"] = np.asarray(seeds)
    base = frozenset(labels) - {"prompt"}
    sums = []
    for states in bins:
        found = pair_sums(states_at(states), labels)
        sums.append(PairSums({base: found.cosines[base]}, {base: found.counts[base]}))
    n_states = int(bins[-1][-1]) + 1 if bins else 0
    centre = np.array([float(part.mean()) + 0.5 for part in bins]) / max(1, n_states)

    def of(chosen: NDArray[np.bool_]) -> Apart | None:
        places = np.flatnonzero(chosen)
        return _apart([sums[i] for i in places], [bins[i] for i in places], base)

    half = of((centre > 3 / 8) & (centre < 1 / 2))
    return (
        [_of_bin(one, part, base) for one, part in zip(sums, bins, strict=True)],
        half,
        of(centre > 3 / 4),
    )


def _of_bin(sums: PairSums, states: NDArray[np.int64], base: frozenset[str]) -> Apart:
    return Apart(
        float(states.mean()),
        left_out(sums, base, same=True),
        left_out(sums, base, same=False),
    )


def _apart(
    sums: list[PairSums], states: list[NDArray[np.int64]], base: frozenset[str]
) -> Apart | None:
    if not sums:
        return None
    together = PairSums(
        {base: np.sum([one.cosines[base] for one in sums], axis=0)},
        {base: np.sum([one.counts[base] for one in sums], axis=0)},
    )
    return _of_bin(together, np.concatenate(states), base)


def _twins_differ(prompts: ArrayLike, seeds: ArrayLike) -> bool:
    """Return whether seeds set twins apart and are shared by prompts: else they tell nothing."""
    pairs = np.unique(np.stack([_codes(prompts), _codes(seeds)]), axis=1)
    per_prompt, per_seed = (np.bincount(row) for row in pairs)
    return bool(per_prompt.max(initial=0) > 1 and per_seed.max(initial=0) > 1)


def _codes(labels: ArrayLike) -> NDArray[np.int64]:
    return np.unique(np.asarray(labels), return_inverse=True)[1].ravel().astype(np.int64)


def memory_of(apart: Apart, noise: Column | float) -> Column:
    """Return memory, of all and without each prompt; nan where strangers are as near as noise."""
    below = apart.strangers - noise
    known = below > 1e-9
    above = apart.strangers - apart.twins
    return np.where(known, above / np.where(known, below, 1.0), np.nan)


def verdict(
    memory: tuple[float, float, float],
    change: tuple[float, float, float],
    *,
    has_levelled: bool,
    forgotten_below: float = 0.1,
    level_within: float = 0.1,
) -> tuple[str, str]:
    """Return (forgotten, kept or not yet told, why).

    Args:
        memory: (estimate, low, high) in the last quarter.
        change: the same of its change since half time, a doubling of the run's age.
        has_levelled: whether the displacement of runs levels off within the runs.
        forgotten_below: memory that is no memory; its interval must lie below.
        level_within: a fall that is no fall; the interval of the change must exclude a larger one.
    """
    _, low, high = memory
    if not (np.isfinite(low) and np.isfinite(high)):
        return NOT_YET_TOLD, "memory has no interval"
    if high < forgotten_below:
        return FORGOTTEN, "twins are as far apart as strangers"
    if low <= 0:
        return NOT_YET_TOLD, "the interval of memory is too wide"
    if not np.isfinite(change[1]):
        return NOT_YET_TOLD, "the runs are too short to tell whether memory falls"
    if change[2] < 0:
        return NOT_YET_TOLD, "memory still falls"
    if change[1] < -level_within:
        return NOT_YET_TOLD, "whether memory still falls is not known well enough"
    if not has_levelled:
        return NOT_YET_TOLD, "runs still move away from where they were"
    return KEPT, "twins stay nearer than strangers, and neither runs nor memory move further"
