"""Motifs: clusters of points (endpoints of runs, say), where points have clusters at all.

k-means returns as many clusters as it is asked for. So the number of clusters is judged against
points of one Gaussian of the same covariance, with the gap statistic (Tibshirani, Walther, Hastie,
Journal of the Royal Statistical Society B 63, 2001), "one cluster" being an answer; and stability
is how alike the clusterings of two subsamples are (adjusted Rand index), beside that of the
Gaussian.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.principal_axes import principal_axes
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Points = NDArray[np.float64]

MOST_DIMENSIONS = 10
SUBSAMPLE = 0.8


@dataclass(frozen=True, slots=True)
class Motifs:
    """Clusters of n independent points.

    k          clusters that the points have, 1 where they are no more clustered than a Gaussian
    labels     (n,) int64 of a clustering into k
    medoids    (k,) rows of the points nearest to the centres
    gaps       (most,) gap statistic for 1, 2, … clusters, against the Gaussian
    errors     (most,) its standard error over the Gaussian draws
    p          of the null of one Gaussian
    stability  mean adjusted Rand index of pairs of subsamples of four fifths, into `tried` clusters
    stability_null  the same of a Gaussian draw: what k-means agrees with itself on for no reason
    tried      k, or where that is 1 the number with the largest gap
    """

    k: int
    labels: NDArray[np.int64]
    medoids: NDArray[np.int64]
    gaps: Points
    errors: Points
    p: float
    stability: float
    stability_null: float
    tried: int
    n: int
    references: int
    seed: int


def motifs(
    points: ArrayLike,
    *,
    most: int = 20,
    references: int = 39,
    subsamples: int = 10,
    level: float = 0.95,
    seed: int = 0,
) -> Motifs:
    """Find the clusters of points, or that there are none.

    Args:
        points: (n, d), one an independent unit: runs, or means of prompts. Distances are Euclidean,
            of the ten principal components. Rows that are not finite must be left out before.
        most: clusters that are tried.
        references: draws of the Gaussian; p is at least 1 / (1 + references).
        subsamples: of four fifths, for stability.
        level: 1 - the p below which points count as clustered.
        seed: of all draws.

    Raises:
        AnalysisError: fewer than ten points, or fewer than four that differ.
    """
    from threadpoolctl import threadpool_limits

    table = np.asarray(points, dtype=np.float64)
    distinct = len(np.unique(table, axis=0))
    if len(table) < 10 or distinct < 4:
        differing = "" if distinct == len(table) else f", {distinct} of them different"
        raise AnalysisError(f"{counted(len(table), 'point')}{differing}: too few to cluster")
    rng = np.random.default_rng(seed)
    reduced = principal_axes(table, MOST_DIMENSIONS).of(table)
    most = min(most, distinct - 1, len(table) // 3)
    draws = [_gaussian_like(reduced, rng) for _ in range(references)]
    # One thread: clouds are so small that waking others takes longer than the work.
    with threadpool_limits(1):
        observed, *drawn = (_log_inertias(cloud, most, seed) for cloud in (reduced, *draws))
        gaps, errors = _gaps(observed, np.array(drawn))
        p = _p_clustered(observed, np.array(drawn))
        tried = _smallest_good(gaps, errors)
        k = tried if p <= 1 - level else 1
        labels, medoids = _clusters(reduced, k, seed)
        stability, by_chance = (
            _stability(cloud, tried, subsamples, seed) for cloud in (reduced, draws[0])
        )
    return Motifs(
        k, labels, medoids, gaps, errors, p, stability, by_chance, tried, len(table), references,
        seed,
    )  # fmt: skip


def _gaps(observed: Points, drawn: Points) -> tuple[Points, Points]:
    """Return the gap statistic by number of clusters, and its standard error."""
    error = drawn.std(axis=0, ddof=1) * np.sqrt(1 + 1 / len(drawn))
    return drawn.mean(axis=0) - observed, error


def _gaussian_like(points: Points, rng: np.random.Generator) -> Points:
    """Return a draw of a Gaussian whose sample has the very mean and covariance of the points.

    Given these, points of one Gaussian are any rotation of each other (their principal components
    are a random orthonormal frame), so that p is exact, also of few points in many dimensions.
    """
    drawn = rng.standard_normal(points.shape)
    frame = np.linalg.qr(drawn - drawn.mean(axis=0))[0]
    return np.asarray(frame * np.linalg.norm(points, axis=0))


def _log_inertias(points: Points, most: int, seed: int) -> Points:
    return np.array([np.log(max(_kmeans(points, k, seed)[0], 1e-300)) for k in range(1, most + 1)])


def _kmeans(points: Points, k: int, seed: int) -> tuple[float, NDArray[np.int64], Points]:
    from sklearn.cluster import KMeans

    found = KMeans(k, n_init=3, random_state=seed).fit(points)
    return float(found.inertia_), found.labels_.astype(np.int64), found.cluster_centers_


def _p_clustered(observed: Points, drawn: Points) -> float:
    """Return p of the largest gain over one cluster, in standard deviations.

    The points are one more draw in these, or p would not be exact; `max` over the numbers of
    clusters makes one test.
    """
    gains = np.concatenate([observed[None], drawn])
    gains = gains[:, :1] - gains[:, 1:]
    spread = np.maximum(gains.std(axis=0, ddof=1), 1e-12)
    largest = ((gains - gains.mean(axis=0)) / spread).max(axis=1)
    return float((1 + (largest[1:] >= largest[0]).sum()) / (1 + len(drawn)))


def _smallest_good(gaps: Points, errors: Points) -> int:
    """Return the smallest number of clusters, at least 2, within an error of the largest gap."""
    if len(gaps) < 2:
        return 1
    best = 1 + int(np.argmax(gaps[1:]))
    return 2 + int(np.argmax(gaps[1:] >= gaps[best] - errors[best]))


def _clusters(points: Points, k: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    _, labels, centres = _kmeans(points, k, seed)
    away = ((points[:, None] - centres[None]) ** 2).sum(axis=2)
    own = np.where(labels[:, None] == np.arange(k), away, np.inf)
    return labels, own.argmin(axis=0)


def _stability(points: Points, k: int, subsamples: int, seed: int) -> float:
    """Return the mean adjusted Rand index of pairs of subsamples, on the points of both."""
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(seed)
    n = len(points)
    found = np.full((subsamples, n), -1)
    for number in range(subsamples):
        rows = rng.permutation(n)[: max(k + 1, int(SUBSAMPLE * n))]
        found[number, rows] = _kmeans(points[rows], k, seed + number)[1]
    scores = [
        adjusted_rand_score(*found[[a, b]][:, (found[[a, b]] >= 0).all(axis=0)])
        for a, b in combinations(range(subsamples), 2)
    ]
    return float(np.mean(scores))
