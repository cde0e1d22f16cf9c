"""Distances between whole runs: in step, warped in time, and as sets of states without order."""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError

Vectors = NDArray[np.floating]
Distances = NDArray[np.float64]


def in_step(a: Vectors, b: Vectors) -> Distances:
    """Return (pairs,) mean cosine distances of (pairs, T, d) unit vectors at equal steps."""
    return np.asarray(1 - np.einsum("ptd,ptd->pt", a, b).mean(axis=1), dtype=np.float64)


def warped(a: Vectors, b: Vectors, band: int) -> Distances:
    """Return (pairs,) dynamic time warping distances, within a band.

    The smallest sum of cosine distances along a path of steps (1, 0), (0, 1) and (1, 1) from the
    first pair of states to the last that leaves the diagonal by at most `band` (Sakoe and Chiba,
    IEEE Transactions on Acoustics, Speech and Signal Processing 26, 1978), divided by T: never
    above `in_step`, and equal to it for band 0.

    a, b are (pairs, T, d) unit vectors. Time and memory grow with T · (2 band + 1).
    """
    if a.shape != b.shape or a.shape[1] == 0:
        raise AnalysisError(f"runs of {a.shape[1]} and {b.shape[1]} steps cannot be aligned here")
    costs = _banded_costs(a, b, band)
    n_pairs, n, width = costs.shape
    beyond = np.full((n_pairs, width + 2), np.inf)
    # Cells (i, i + offset) of the last two antidiagonals, by offset, with a margin on both sides.
    last, before = beyond.copy(), beyond.copy()
    offsets = np.arange(-band, band + 1)
    for total in range(2 * n - 1):
        here = offsets[(total - offsets) % 2 == 0]
        i = (total - here) // 2
        inside = (i >= 0) & (i < n) & (i + here >= 0) & (i + here < n)
        place = here[inside] + band
        reached = np.minimum(last[:, place + 2], last[:, place])
        reached = np.minimum(reached, before[:, place + 1])
        if total == 0:
            reached = np.zeros_like(reached)
        new = beyond.copy()
        new[:, place + 1] = reached + costs[:, i[inside], place]
        before, last = last, new
    return np.asarray(last[:, band + 1] / n)


def _banded_costs(a: Vectors, b: Vectors, band: int) -> Distances:
    """Return (pairs, T, 2 band + 1) cosine distances of a's state i and b's state i + offset."""
    n = a.shape[1]
    found = np.full((len(a), n, 2 * band + 1), np.inf)
    for offset in range(-min(band, n - 1), min(band, n - 1) + 1):
        first, last = max(0, -offset), min(n, n - offset)
        pairs = np.einsum("ptd,ptd->pt", a[:, first:last], b[:, first + offset : last + offset])
        found[:, first:last, offset + band] = 1 - pairs
    return found


def energy_distance(a: Vectors, b: Vectors) -> float:
    """Return the energy distance of two sets of states (n, d) and (m, d), without order.

    2 E|X - Y| - E|X - X'| - E|Y - Y'| with Euclidean lengths, pairs of a state with itself left
    out, so that its mean is 0 for sets of one distribution (Székely and Rizzo, "Energy statistics",
    Journal of Statistical Planning and Inference 143, 2013). Raises AnalysisError for fewer than
    two states.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        raise AnalysisError("a set of fewer than two states has no spread to compare with")
    between = _lengths(a, b).mean()
    return float(
        2 * between - _lengths(a, a).sum() / (n * (n - 1)) - _lengths(b, b).sum() / (m * (m - 1))
    )


def _lengths(a: Vectors, b: Vectors) -> Distances:
    x, y = a.astype(np.float64), b.astype(np.float64)
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None] - 2 * x @ y.T
    if a is b:
        np.fill_diagonal(squares, 0.0)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
