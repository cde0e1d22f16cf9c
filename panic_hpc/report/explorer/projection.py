"""States of runs as points of a map: which of them are shown, and where they lie."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.samples import every_nth, spread_places
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows

MOST_RUNS = 1_000
"""Beyond that a map is a fog, and a page of runs no help."""
FITTED_ROWS = 20_000
ROWS_AT_ONCE = 4_096
HIGHEST = 65_535


@dataclass(frozen=True)
class StateMap:
    """States of some runs in one embedding model, in order of runs and of their states.

    run       (N,) row of the run
    step      (N,) step of the output
    places    (N, 2) uint16: the first two principal components, in one scale
    away      (N,) uint16: cosine distance from the run's first state, from 0 to `farthest`
    shares    of the variance that each of the two components has
    n_states  of all runs, shown or not
    """

    model: str
    modality: str
    run: NDArray[np.int64]
    step: NDArray[np.int64]
    places: NDArray[np.uint16]
    away: NDArray[np.uint16]
    farthest: float
    shares: tuple[float, float]
    n_states: int


def state_map(trajectories: TrajectorySet, runs: NDArray[np.int64], most: int) -> StateMap:
    """Return at most about `most` states of those runs, every n-th of each, as points.

    Components are of unit vectors, by the covariance of at most 20,000 of them; a component's sign
    is that which makes its largest weight positive. States that are not finite are left out.
    """
    sample = every_nth(trajectories, runs, most)
    run, rows, first = sample.runs, sample.rows, trajectories.starts[sample.runs]
    mean, axes, shares = _principal(trajectories, rows)
    places = np.empty((len(rows), 2))
    away = np.empty(len(rows))
    for part in _parts(len(rows)):
        vectors = unit_rows(trajectories.vectors[rows[part]])
        begun = unit_rows(trajectories.vectors[first[part]])
        places[part] = (vectors - mean) @ axes
        away[part] = 1 - np.einsum("ij,ij->i", vectors, begun)
    known = np.isfinite(places).all(1) & np.isfinite(away)
    run, rows, places, away = run[known], rows[known], places[known], away[known]
    farthest = float(away.max(initial=0.0)) or 1.0
    steps = (
        rows - trajectories.starts[run] if trajectories.steps is None else trajectories.steps[rows]
    )
    return StateMap(
        model=trajectories.model,
        modality=trajectories.modality,
        run=run,
        step=np.asarray(steps, np.int64),
        places=_quantised(places),
        away=np.asarray(np.round(np.clip(away / farthest, 0, 1) * HIGHEST), np.uint16),
        farthest=farthest,
        shares=shares,
        n_states=int(trajectories.lengths.sum()),
    )


def shown_runs(n_runs: int) -> NDArray[np.int64]:
    """Return the runs that the explorer shows: all, or 1,000 spread over them evenly."""
    return spread_places(n_runs, MOST_RUNS)


def _principal(
    trajectories: TrajectorySet, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Return mean (D,), two axes (D, 2), and the share of the variance along each."""
    from scipy.linalg import eigh

    d = trajectories.n_dimensions
    sample = rows[:: max(1, -(-len(rows) // FITTED_ROWS))]
    total, squares, count = np.zeros(d), np.zeros((d, d)), 0
    for part in _parts(len(sample)):
        vectors = unit_rows(trajectories.vectors[sample[part]]).astype(np.float64)
        vectors = vectors[np.isfinite(vectors).all(1)]
        total += vectors.sum(0)
        squares += vectors.T @ vectors
        count += len(vectors)
    if count == 0 or d < 2:
        return np.zeros(d), np.eye(d, 2), (0.0, 0.0)
    mean = total / count
    covariance = squares / count - np.outer(mean, mean)
    values, vectors = eigh(covariance, subset_by_index=[d - 2, d - 1])
    axes = vectors[:, ::-1]
    signs = np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
    variance = max(float(np.trace(covariance)), 1e-30)
    first, second = (max(0.0, float(value)) / variance for value in values[::-1])
    return mean, axes * signs, (first, second)


def _quantised(places: NDArray[np.float64]) -> NDArray[np.uint16]:
    if not len(places):
        return np.zeros((0, 2), np.uint16)
    low, high = places.min(0), places.max(0)
    # One scale for both: distances on the map mean the same in all directions.
    half = max(float((high - low).max()) / 2, 1e-12)
    scaled = (places - (low + high) / 2) / half
    return np.asarray(np.round((np.clip(scaled, -1, 1) + 1) / 2 * HIGHEST), np.uint16)


def _parts(count: int) -> Iterator[slice]:
    return (slice(first, first + ROWS_AT_ONCE) for first in range(0, count, ROWS_AT_ONCE))
