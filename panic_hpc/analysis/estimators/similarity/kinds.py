"""Pairs of runs by kind, twins to strangers, and their means with intervals over prompts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval

Rows = NDArray[np.int64]

KINDS = ("twins", "other network", "other prompt", "other network and prompt")
"""Runs of one network and prompt; of one prompt; of one network; of neither."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of one kind: rows of both runs, and their prompts by number."""

    kind: str
    first: Rows
    second: Rows
    prompts: tuple[Rows, Rows]

    def mean(self, values: NDArray[np.float64], level: float) -> tuple[float, float, float]:
        """Return (mean, low, high) of a value a pair, without each prompt in turn (jackknife).

        All pairs that a prompt is part of are left out together; nan values do not count.
        """
        known = np.isfinite(values)
        if not known.any():
            return float("nan"), float("nan"), float("nan")
        a, b = (prompts[known] for prompts in self.prompts)
        values = values[known]
        units = np.unique([a, b])
        kept = [np.ones(len(values), bool), *((a != unit) & (b != unit) for unit in units)]
        left = [values[one].mean() if one.any() else np.nan for one in kept]
        return jackknife_interval(np.array(left), level)


def pairs_by_kind(
    networks: ArrayLike,
    prompts: ArrayLike,
    most: int,
    seed: int = 0,
    noise: ArrayLike | None = None,
) -> list[Pairs]:
    """Return at most `most` pairs of each kind, drawn at random; kinds without any are left out.

    Drawn without forming all pairs: a first run, then a second one among those that make the kind.
    `noise` are labels in which pairs of all kinds differ, as twins do: seeds that prompts share.
    """
    network = factor("", np.asarray(networks)).codes
    prompt = factor("", np.asarray(prompts)).codes
    apart = np.arange(len(network)) if noise is None else np.asarray(noise)
    rng = np.random.default_rng(seed)
    alike = {
        KINDS[0]: lambda run: (network == network[run]) & (prompt == prompt[run]),
        KINDS[1]: lambda run: (network != network[run]) & (prompt == prompt[run]),
        KINDS[2]: lambda run: (network == network[run]) & (prompt != prompt[run]),
        KINDS[3]: lambda run: (network != network[run]) & (prompt != prompt[run]),
    }
    found = []
    for kind in KINDS:
        drawn: set[tuple[int, int]] = set()
        order = rng.permutation(len(network)).tolist()
        # Each run is first a few times at most, so that pairs are of all runs.
        for run in order * (1 + most // max(1, len(order))):
            others = np.flatnonzero(alike[kind](run))
            others = others[apart[others] != apart[run]]
            if len(others):
                other = int(rng.choice(others))
                drawn.add((min(run, other), max(run, other)))
            if len(drawn) >= most:
                break
        if drawn:
            first, second = np.array(sorted(drawn), np.int64).T
            found.append(Pairs(kind, first, second, (prompt[first], prompt[second])))
    return found
