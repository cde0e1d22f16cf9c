"""Shared attractors: do runs of different prompts visit the same regions, network by network?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.variance.arrangements import Arrangements, PermutationTest
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.errors import AnalysisError

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SharedRegions:
    """Overlap of two runs is the share of their time that they spend in the same regions.

    within   mean overlap of strangers, runs of different prompts, of one network
    between  the same of different networks
    test     of the null that networks do not matter: labels of whole runs permuted within prompts
    """

    within: float
    between: float
    test: PermutationTest


def occupancy(regions: NDArray[np.int64], n_regions: int) -> Table:
    """Return (runs, regions) shares of time from (runs, steps) codes, -1 where a run has no step.

    A run without any step has nan.
    """
    counts = np.stack([(regions == code).sum(axis=1) for code in range(n_regions)], axis=1)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def overlaps(shares: Table) -> Table:
    """Return (runs, runs) sums over regions of the smaller share."""
    found = np.zeros((len(shares), len(shares)))
    for column in shares.T:
        found += np.minimum(column[:, None], column[None])
    return found


def shared_regions(
    shares: Table,
    networks: ArrayLike,
    prompts: ArrayLike,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> SharedRegions:
    """Compare overlaps of strangers within and between networks.

    Args:
        shares: (runs, regions), of `occupancy`; runs of nan are left out. Memory and time grow with
            the square of the runs: sample them beyond a few thousand.
        networks, prompts: (runs,) labels.
        permutations: of networks among the runs of a prompt.
        seed: of these.

    Raises:
        AnalysisError: one network or one prompt, or no prompt was run in two networks.
    """
    kept = np.isfinite(shares).all(axis=1)
    network = factor("network", np.asarray(networks)[kept])
    prompt = factor("prompt", np.asarray(prompts)[kept])
    if network.n_levels < 2 or prompt.n_levels < 2:
        raise AnalysisError("one network or one prompt only: no strangers to compare")
    mixed = np.unique(np.stack([prompt.codes, network.codes]), axis=1)[0]
    if np.bincount(mixed).max() < 2:
        raise AnalysisError("no prompt was run in two networks: nothing can be exchanged")
    strangers = prompt.codes[:, None] != prompt.codes[None]
    similar = overlaps(shares[kept]) * strangers
    arrangements = Arrangements(network.codes, prompt.codes, permutations, seed)
    sums = np.array(
        [
            _within(similar, strangers, labels, network.n_levels)
            for some in arrangements.batches(64)
            for labels in some
        ]
    )
    inside, pairs = sums.T
    means = inside / np.maximum(pairs, 1)
    outside = (similar.sum() - inside) / np.maximum(strangers.sum() - pairs, 1)
    test = arrangements.test("overlap of strangers within networks less between", means - outside)
    return SharedRegions(float(means[0]), float(outside[0]), test)


def _within(
    similar: Table, strangers: NDArray[np.bool_], labels: NDArray[np.int64], n: int
) -> tuple[float, float]:
    """Return the sum of overlaps and the number of pairs of strangers of one network."""
    groups = [np.flatnonzero(labels == code) for code in range(n)]
    return (
        sum(float(similar[np.ix_(rows, rows)].sum()) for rows in groups),
        sum(float(strangers[np.ix_(rows, rows)].sum()) for rows in groups),
    )
