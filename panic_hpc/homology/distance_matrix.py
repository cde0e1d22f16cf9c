"""The symmetric float32 matrix of Euclidean distances: by the native kernel, else by numpy."""

import numpy as np
import numpy.typing as npt

from panic_hpc.homology.native_core import find_native

CLOSE = 1e-5
"""Below this share of the squared lengths, differences are summed instead of products."""

_BLOCK = 256
_SAMPLE = 200


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

    The edges whose lune is empty, less those of a tree: counted among all pairs of 200 points, with
    the lunes looked for in the whole cloud. Not below 0; 0 for fewer than three different rows.
    """
    points = np.unique(rows, axis=0).astype(np.float64)
    n = len(points)
    if n < 3:
        return 0.0
    points -= points.mean(axis=0)
    squares = (points * points).sum(axis=1)
    ends = np.random.default_rng(0).permutation(n)[:_SAMPLE]
    squared = squares[ends, None] + squares - 2 * points[ends] @ points.T
    # Either end lies on the edge of its lune and not inside, whatever rounding says.
    squared[np.arange(len(ends)), ends] = np.inf
    n_empty = 0
    for place, own in enumerate(squared):
        edges = own[ends[place + 1 :], None]
        farther = np.maximum(own, squared[place + 1 :])
        n_empty += len(edges) - int((farther < edges).any(axis=1).sum())
    share = n_empty / (len(ends) * (len(ends) - 1) / 2)
    return max(0.0, share * (n - 1) / 2 - 1)


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
