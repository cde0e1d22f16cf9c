"""Exact nearest neighbours by cosine over the states of all runs, with hubs corrected.

In many dimensions some points are neighbours of very many (hubs) and a quarter of none (antihubs),
whatever the data mean: Radovanović, Nanopoulos, Ivanović, "Hubs in space", Journal of Machine
Learning Research 11, 2010. `local_similarities` are what cross-domain similarity local scaling
takes off (Conneau et al., "Word translation without parallel data", 2018).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

QUERIES_AT_ONCE = 1024
POINTS_AT_ONCE = 16384
"""64 MiB of similarities at a time, whatever the number of points."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest points of each query, nearest first; -1 and -inf where there are fewer.

    rows    (queries, k) int64, into the points
    scores  (queries, k) float32, cosine, or twice the cosine less the local similarity of the point
    """

    rows: Rows
    scores: Vectors


@dataclass(frozen=True, slots=True)
class Hubness:
    """How unevenly points are neighbours of others.

    skewness  of how often a point is among the k nearest of another, 0 where there are no hubs
    antihubs  share of the points that are nobody's neighbour
    largest   share of all places as neighbour that the most frequent hundredth of points takes
    """

    skewness: float
    antihubs: float
    largest: float
    n_points: int
    k: int


def nearest_neighbours(
    points: Vectors,
    k: int,
    *,
    runs: Rows,
    queries: Rows | None = None,
    local: Vectors | None = None,
) -> Neighbours:
    """Return the k nearest points of queries among the points of other runs, exactly.

    Args:
        points: (n, d) float32 unit vectors, may be a memory map: read in parts, once for every
            1024 queries. Rows that are not finite are nobody's neighbour.
        k: neighbours a query.
        runs: (n,) codes; points of the query's own run are passed over, since the step before is
            always near.
        queries: rows of points, all where None. Memory does not depend on their number, time does:
            2 n d operations each.
        local: (n,) local similarities, to correct hubs.
    """
    asked = np.arange(len(points)) if queries is None else np.asarray(queries, dtype=np.int64)
    found = [
        _nearest_of(points, asked[start : start + QUERIES_AT_ONCE], k, runs, local)
        for start in range(0, len(asked), QUERIES_AT_ONCE)
    ]
    if not found:
        return Neighbours(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
    return Neighbours(
        np.concatenate([one.rows for one in found]), np.concatenate([one.scores for one in found])
    )


def _nearest_of(
    points: Vectors, asked: Rows, k: int, runs: Rows, local: Vectors | None
) -> Neighbours:
    """Return neighbours of some queries, the best so far merged with each part of the points."""
    rows = np.full((len(asked), k), -1, dtype=np.int64)
    scores = np.full((len(asked), k), -np.inf, dtype=np.float32)
    own = np.asarray(points[asked])
    for start, similar in _similarities(own, runs[asked], points, runs):
        if local is not None:
            similar *= 2
            similar -= local[start : start + similar.shape[1]]
        best = _largest(similar, k)
        scores = np.concatenate([scores, np.take_along_axis(similar, best, axis=1)], axis=1)
        rows = np.concatenate([rows, best + start], axis=1)
        kept = _largest(scores, k)
        scores = np.take_along_axis(scores, kept, axis=1)
        rows = np.take_along_axis(rows, kept, axis=1)
    return Neighbours(np.where(np.isfinite(scores), rows, -1), scores)


def _similarities(
    own: Vectors, own_runs: Rows, points: Vectors, runs: Rows
) -> Iterator[tuple[int, Vectors]]:
    """Yield the first row of some points and (queries, points) cosines, -inf for own runs."""
    for start in range(0, len(points), POINTS_AT_ONCE):
        part = np.asarray(points[start : start + POINTS_AT_ONCE])
        with np.errstate(invalid="ignore"):
            similar = own @ part.T
        similar[~np.isfinite(similar)] = -np.inf
        similar[own_runs[:, None] == runs[start : start + POINTS_AT_ONCE]] = -np.inf
        yield start, similar


def _largest(scores: Vectors, k: int) -> Rows:
    """Return the columns of the k largest of each row, largest first, ties by column."""
    k = min(k, scores.shape[1])
    if scores.shape[1] > 4 * k:
        picked = np.sort(np.argpartition(scores, -k, axis=1)[:, -k:], axis=1)
    else:
        picked = np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    order = np.argsort(-np.take_along_axis(scores, picked, axis=1), axis=1, kind="stable")
    return np.take_along_axis(picked, order[:, :k], axis=1)


def local_similarities(neighbours: Neighbours) -> Vectors:
    """Return (n,) the mean cosine of each point with its neighbours, of plain scores; 0 of none."""
    there = np.isfinite(neighbours.scores)
    sums = np.where(there, neighbours.scores, 0).sum(axis=1)
    return np.asarray(sums / np.maximum(there.sum(axis=1), 1), dtype=np.float32)


def hubness(neighbours: Neighbours, n_points: int) -> Hubness:
    """Return how unevenly `n_points` points are neighbours, from the neighbours of all of them.

    Raises AnalysisError where no point has a neighbour.
    """
    rows = neighbours.rows[neighbours.rows >= 0]
    if len(rows) == 0:
        raise AnalysisError("no point has a neighbour in another run")
    counts = np.bincount(rows, minlength=n_points).astype(np.float64)
    away = counts - counts.mean()
    spread = np.sqrt((away**2).mean())
    top = max(1, n_points // 100)
    return Hubness(
        skewness=float((away**3).mean() / spread**3) if spread > 0 else 0.0,
        antihubs=float(np.mean(counts == 0)),
        largest=float(np.sort(counts)[-top:].sum() / counts.sum()),
        n_points=n_points,
        k=neighbours.rows.shape[1],
    )
