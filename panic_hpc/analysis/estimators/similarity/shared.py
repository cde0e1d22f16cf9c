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
        shares: (runs, regions), of `occupancy`; runs of nan are left out. No pair is formed: time
            and memory grow with the runs.
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
    overlaps = _Overlaps(shares[kept], prompt.codes)
    arrangements = Arrangements(network.codes, prompt.codes, permutations, seed)
    inside, pairs = np.array(
        [overlaps.strangers(labels) for some in arrangements.batches(64) for labels in some]
    ).T
    everywhere, of_all = overlaps.strangers(np.zeros_like(network.codes))
    means = inside / np.maximum(pairs, 1)
    outside = (everywhere - inside) / np.maximum(of_all - pairs, 1)
    test = arrangements.test("overlap of strangers within networks less between", means - outside)
    return SharedRegions(float(means[0]), float(outside[0]), test)


class _Overlaps:
    """Sums over pairs of runs of the smaller share, region by region.

    In ascending order of a region's share, a run's share is the smaller one of its pair with every
    later run: so it counts as often as there are later runs of its group.
    """

    def __init__(self, shares: Table, prompts: NDArray[np.int64]) -> None:
        order = np.argsort(shares, axis=0, kind="stable")
        self.columns = [
            (rows, shares[rows, region])
            for region, rows in enumerate(order.T)
            # A region that nobody is in adds nothing.
            if shares[rows[-1], region] > 0
        ]
        self.prompts = prompts

    def strangers(self, labels: NDArray[np.int64]) -> tuple[float, float]:
        """Return the sum of overlaps, and the number, of pairs of strangers of one label."""
        cells = labels * (self.prompts.max() + 1) + self.prompts
        one, other = self._alike(labels), self._alike(cells)
        return one[0] - other[0], one[1] - other[1]

    def _alike(self, groups: NDArray[np.int64]) -> tuple[float, float]:
        _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        # Narrow codes: numpy sorts those of 16 bits by counting.
        narrow = codes.astype(np.int16 if len(sizes) < 2**15 else np.int64)
        first = np.cumsum(sizes) - sizes
        later = np.repeat(first + sizes, sizes) - 1 - np.arange(len(codes))
        total = sum(
            float(values[np.argsort(narrow[rows], kind="stable")] @ later)
            for rows, values in self.columns
        )
        return total, float((sizes * (sizes - 1)).sum() / 2)
