"""The symmetric float32 matrix of Euclidean distances: by the native kernel, else by numpy."""

import numpy as np
import numpy.typing as npt

from panic_hpc.homology.native_core import find_native

CLOSE = 1e-5
"""Below this share of the squared lengths, differences are summed instead of products."""

_BLOCK = 256
_SAMPLE = 2000


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


def spread(rows: npt.NDArray[np.float32]) -> float:
    """Standard deviation over mean of the distances of `rows` (n, d), from a sample; for `cost`.

    Equal rows are left out. 0 where no two rows differ.
    """
    i, j = np.random.default_rng(0).integers(0, max(len(rows), 1), (2, _SAMPLE if len(rows) else 0))
    lengths = np.linalg.norm(rows[i].astype(np.float64) - rows[j], axis=1)
    lengths = lengths[lengths > 0]
    return float(lengths.std() / lengths.mean()) if len(lengths) else 0.0


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
