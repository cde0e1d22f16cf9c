"""The symmetric float32 matrix of Euclidean distances: by the native kernel, else by numpy."""

import numpy as np
import numpy.typing as npt

from panic_hpc.homology.native_core import find_native

CLOSE = 1e-5
"""Below this share of the squared lengths, differences are summed instead of products."""

_BLOCK = 256
_SAMPLE = 200
_COUNTED = 100
_LOOKED_AT = 64


def distance_matrix(rows: npt.NDArray[np.float32], threads: int = 1) -> npt.NDArray[np.float32]:
    """Euclidean distances of `rows` (n, d): float32 (n, n), symmetric, 0 for equal rows only.

    OverflowError where a distance is beyond float32.

    The native kernel gives the same bits on every CPU. numpy's products depend on its BLAS, so
    without the native core the last bit may differ between machines.
    """
    native = find_native()
    if native is not None:
        matrix: npt.NDArray[np.float32] = native.distances(rows, threads)
        return matrix
    return _numpy_distances(rows)


def loops_per_point(rows: npt.NDArray[np.float32]) -> float:
    """Loops to be examined per point of `rows` (n, d), for `cost`; about `Record.noise_ratio`.

    The edges whose lune is empty, less those of a tree: counted at 100 points of the sample, among
    all their edges. Not below 0; 0 for fewer than three different rows. Of trajectories the error
    is about 0.15.
    """
    points = np.unique(rows, axis=0).astype(np.float64)
    n = len(points)
    if n < 3:
        return 0.0
    points -= points.mean(axis=0)
    rng = np.random.default_rng(0)
    sample = rng.permutation(n)[:_SAMPLE]
    squares = (points * points).sum(axis=1)
    squared = _squares_between(points, squares, sample, np.arange(n))
    counted = sample[:_COUNTED]
    n_edges = sum(
        _empty_lunes(points, squares, end, own, squared, rng)
        for end, own in zip(counted, squared, strict=False)
    )
    return max(0.0, n_edges / len(counted) / 2 - (n - 1) / n)


def _empty_lunes(
    points: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    end: int,
    own: npt.NDArray[np.float64],
    squared: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> float:
    """Estimate how many edges of the point `end`, `own` away from all others, have empty lunes."""
    # 1) Most lunes have a point of the sample.
    farther = np.maximum(squared, squared[:, [end]])
    others = np.flatnonzero(~(farther < own).any(axis=0) & np.isfinite(own))
    # 2) Of the others some are looked at, with all points that are near enough.
    some = others if len(others) <= _LOOKED_AT else rng.choice(others, _LOOKED_AT, replace=False)
    near = np.flatnonzero(own < own[some].max(initial=0.0))
    farther = np.maximum(_squares_between(points, squares, some, near), own[near])
    n_empty = len(some) - int((farther < own[some, None]).any(axis=1).sum())
    return n_empty * len(others) / max(len(some), 1)


def _squares_between(
    points: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    a: npt.NDArray[np.int64],
    b: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return squared distances of some points from others (|a|, |b|); of each from itself inf."""
    squared = squares[a, None] + squares[b] - 2 * points[a] @ points[b].T
    # Either end lies on the edge of its lune and not inside, whatever rounding says.
    squared[a[:, None] == b] = np.inf
    return np.asarray(squared)


def _numpy_distances(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """|x|^2 + |y|^2 - 2 x.y in float64; pairs that cancel are computed from differences."""
    wide = rows.astype(np.float64)
    squares = (wide * wide).sum(axis=1)
    n = len(wide)
    matrix = np.zeros((n, n), np.float32)
    for i in range(0, n, _BLOCK):
        here = slice(i, min(i + _BLOCK, n))
        scale = squares[here, None] + squares[None, i:]
        # float64: in float32 products, points 1e-3 apart come out as equal.
        squared = scale - 2 * (wide[here] @ wide[i:].T)
        for a, b in np.argwhere(squared < CLOSE * scale):
            difference = wide[i + a] - wide[i + b]
            squared[a, b] = difference @ difference
        with np.errstate(over="ignore"):
            block = np.sqrt(squared).astype(np.float32)
        if np.isinf(block).any():
            raise OverflowError("a distance is beyond float32")
        matrix[here, i:] = block
        matrix[i:, here] = block.T
    # On the diagonal's blocks x.y and y.x may be summed in different orders: one decides.
    lower = np.tril(matrix, -1)
    return lower + lower.T
