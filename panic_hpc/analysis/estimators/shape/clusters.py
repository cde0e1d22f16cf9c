"""Clusters of all states, and how runs move between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError

Rows = NDArray[np.int64]

MOST_POINTS = 5000
DIMENSIONS = 16
ROWS_AT_ONCE = 65536


@dataclass(frozen=True, slots=True)
class StateClusters:
    """Clusters of the states of many runs.

    labels      (n,) int64, -1 for states that are in none
    medoids     (clusters,) rows of the states nearest to the clusters' centres
    sampled     states that clusters were sought among; others joined that of their nearest
    unclustered share of all states that are in none
    """

    labels: Rows
    medoids: Rows
    sampled: int
    unclustered: float
    seed: int


def cluster_states(
    points: NDArray[np.floating], smallest: int = 25, seed: int = 0
) -> StateClusters:
    """Cluster states by density (HDBSCAN) in their first principal components.

    Args:
        points: (n, d), may be a memory map, read in parts: clusters are sought among 5,000 states
            drawn with the seed; every other state joins the nearest of these. Rows that are not
            finite are in none.
        smallest: states that make a cluster.
        seed: of the draw.

    Raises:
        AnalysisError: fewer states than two clusters take.
    """
    from sklearn.cluster import HDBSCAN

    finite = _finite(points)
    rows = np.flatnonzero(finite)
    if len(rows) < 2 * smallest:
        raise AnalysisError(f"{len(rows)} states: two clusters of {smallest} take more")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(rows, min(MOST_POINTS, len(rows)), replace=False))
    sample = np.asarray(points[chosen], dtype=np.float64)
    mean = sample.mean(axis=0)
    axes = np.linalg.svd(sample - mean, full_matrices=False)[2][:DIMENSIONS].T
    reduced = (sample - mean) @ axes
    found = HDBSCAN(min_cluster_size=smallest, copy=True).fit(reduced).labels_.astype(np.int64)
    labels = np.full(len(points), -1, dtype=np.int64)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        labels[part] = found[_nearest((points[part] - mean) @ axes, reduced)]
    labels[chosen] = found
    medoids = [
        chosen[found == code][_central(reduced[found == code])] for code in range(found.max() + 1)
    ]
    unclustered = float((labels < 0).mean())
    return StateClusters(labels, np.array(medoids, np.int64), len(chosen), unclustered, seed)


def _finite(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    starts = range(0, len(points), ROWS_AT_ONCE)
    return np.concatenate([np.isfinite(points[a : a + ROWS_AT_ONCE]).all(axis=1) for a in starts])


def _nearest(points: NDArray[np.float64], among: NDArray[np.float64]) -> Rows:
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(among).query(points)[1], dtype=np.int64)


def _central(points: NDArray[np.float64]) -> int:
    return int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())


def transitions(labels: Rows, runs: Rows, n_clusters: int) -> NDArray[np.int64]:
    """Return (clusters + 1, clusters + 1) counts of moves from one state to the next of its run.

    The last row and column are of states in no cluster; labels and runs are (n,), states in order.
    """
    codes = np.where(labels < 0, n_clusters, labels)
    together = runs[1:] == runs[:-1]
    size = n_clusters + 1
    counts = np.bincount((codes[:-1] * size + codes[1:])[together], minlength=size**2)
    return counts.reshape(size, size).astype(np.int64)
