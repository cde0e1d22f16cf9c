"""Clusters of all states, and how runs move between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.principal_axes import PrincipalAxes, principal_axes
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Rows = NDArray[np.int64]
Vectors = NDArray[np.floating]

MOST_POINTS = 5000
DIMENSIONS = 16
FINEST = 1e-12
"""Coordinates below it, and above its inverse, are scaled."""
ROWS_AT_ONCE = 1024
"""20 MiB of distances to 5,000 states: more of them leave the cache."""


@dataclass(frozen=True, slots=True)
class StateClusters:
    """Clusters of the states of many runs.

    labels      (n,) int64, -1 for states that are in none
    medoids     (clusters,) places among these states of those nearest to the clusters' centres
    sampled     (m,) places of the states that clusters were sought among, ascending; others joined
                that of their nearest
    points      (m, 16 or less) these in the principal components that they were sought in
    unit        length of 1 there: 1, but for embeddings so large or small that squares would end
    unclustered share of all states that are in none
    """

    labels: Rows
    medoids: Rows
    sampled: Rows
    points: NDArray[np.float32]
    unit: float
    unclustered: float
    seed: int


def cluster_states(
    points: Vectors, smallest: int = 25, seed: int = 0, rows: Rows | None = None
) -> StateClusters:
    """Cluster states by density (HDBSCAN) in their first principal components.

    Args:
        points: (n, d), may be a memory map, read in parts: clusters are sought among 5,000 states
            drawn with the seed; every other state joins the nearest of these. States that are not
            finite are in none.
        smallest: states that make a cluster.
        seed: of the draw.
        rows: of the points that are states, in the order of the labels; None: all.

    Raises:
        AnalysisError: fewer states than two clusters take.
    """
    from sklearn.cluster import HDBSCAN

    wanted = np.arange(len(points)) if rows is None else rows
    chosen, space, unit = _sample(points, wanted, 2 * smallest, seed)
    reduced = space.of(points[wanted[chosen]])
    found = HDBSCAN(min_cluster_size=smallest, copy=True).fit(reduced).labels_.astype(np.int64)
    labels = assign(points, wanted, space, reduced, found)
    labels[chosen] = found
    medoids = [
        chosen[found == code][_central(reduced[found == code])] for code in range(found.max() + 1)
    ]
    unclustered = float((labels < 0).mean())
    central = np.array(medoids, np.int64)
    return StateClusters(labels, central, chosen, reduced, unit, unclustered, seed)


def tile_states(points: Vectors, regions: int, seed: int = 0, rows: Rows | None = None) -> Rows:
    """Return (n,) the region of each state, -1 where it is not finite: `regions` by k-means.

    A tiling of where states are and no finding: k-means gives as many regions as it is asked for.
    Sought among 5,000 states as in `cluster_states`, whose arguments these are.
    """
    from sklearn.cluster import KMeans

    wanted = np.arange(len(points)) if rows is None else rows
    chosen, space, _ = _sample(points, wanted, 2 * regions, seed)
    reduced = space.of(points[wanted[chosen]])
    distinct = len(np.unique(reduced, axis=0))
    if distinct < regions:
        raise AnalysisError(f"{distinct} different states: {regions} regions take more")
    found = KMeans(regions, n_init=3, random_state=seed).fit(reduced)
    centres = found.cluster_centers_.astype(np.float32)
    return assign(points, wanted, space, centres, np.arange(regions))


def _sample(
    points: Vectors, wanted: Rows, fewest: int, seed: int
) -> tuple[Rows, PrincipalAxes, float]:
    """Return places of finite states drawn among those wanted, ascending, their space, its unit."""
    rng = np.random.default_rng(seed)
    # Twice as many as are used: those that are not finite are passed over.
    drawn = rng.permutation(len(wanted))[: 2 * MOST_POINTS]
    finite = np.asarray(np.isfinite(points[wanted[np.sort(drawn)]]).all(axis=1))
    finite = finite[np.argsort(np.argsort(drawn))]
    chosen = np.sort(drawn[finite][:MOST_POINTS])
    if len(chosen) < fewest:
        raise AnalysisError(f"{counted(len(chosen), 'state')}: it takes {fewest}")
    sample = points[wanted[chosen]]
    space = principal_axes(sample, DIMENSIONS)
    unit = _unit_of(space, sample)
    return chosen, PrincipalAxes(space.mean, space.axes / unit), unit


def _unit_of(space: PrincipalAxes, sample: Vectors) -> float:
    """Return the length in which squares of coordinates neither overflow float32 nor vanish in it.

    1 for embeddings of ordinary length, else a power of two, by which nothing is rounded.
    """
    largest = float(np.abs(space.of(np.asarray(sample, np.float64))).max())
    is_ordinary = largest == 0 or FINEST < largest < 1 / FINEST
    return 1.0 if is_ordinary else 2.0 ** float(np.round(np.log2(largest)))


def assign(
    points: Vectors, wanted: Rows, space: PrincipalAxes, reference: NDArray[np.float32], codes: Rows
) -> Rows:
    """Return for each wanted row the code of the nearest reference, -1 where it is not finite."""
    labels = np.full(len(wanted), -1, dtype=np.int64)
    # Half the squared distance less that of the state, by one product: a nearest one is smallest.
    weights = np.concatenate([-reference.T, 0.5 * (reference**2).sum(axis=1)[None]])
    for start in range(0, len(wanted), ROWS_AT_ONCE):
        placed = space.of(points[wanted[start : start + ROWS_AT_ONCE]])
        finite = np.asarray(np.isfinite(placed).all(axis=1))
        known = np.append(placed[finite], np.ones((int(finite.sum()), 1), np.float32), axis=1)
        part = np.full(len(placed), -1, dtype=np.int64)
        part[finite] = codes[(known @ weights).argmin(axis=1)] if len(known) else -1
        labels[start : start + ROWS_AT_ONCE] = part
    return labels


def _central(points: NDArray[np.float32]) -> int:
    return int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())


def sparsity(points: NDArray[np.float32], runs: Rows, k: int = 10) -> NDArray[np.float64]:
    """Return (n,) how far the k-th nearest point of another run is; nan where there are fewer.

    points is (n, d), runs (n,). Of one run states are near each other for being near in time.
    """
    found = np.full(len(points), np.nan)
    squares = (points**2).sum(axis=1)
    for start in range(0, len(points), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        apart = squares[part, None] + squares[None] - 2 * points[part] @ points.T
        apart[runs[part, None] == runs[None]] = np.inf
        if apart.shape[1] >= k:
            found[part] = np.sqrt(np.maximum(np.partition(apart, k - 1, axis=1)[:, k - 1], 0.0))
    return np.where(np.isfinite(found), found, np.nan)


def transitions(labels: Rows, runs: Rows, n_clusters: int) -> NDArray[np.int64]:
    """Return (clusters + 1, clusters + 1) counts of moves from one state to the next of its run.

    The last row and column are of states in no cluster; labels and runs are (n,), states in order.
    """
    codes = np.where(labels < 0, n_clusters, labels)
    together = runs[1:] == runs[:-1]
    size = n_clusters + 1
    counts = np.bincount((codes[:-1] * size + codes[1:])[together], minlength=size**2)
    return counts.reshape(size, size).astype(np.int64)
