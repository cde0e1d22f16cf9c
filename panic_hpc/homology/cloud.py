"""Point clouds made ready for an engine: checked, float32, without equal rows, in one order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from panic_hpc.errors import HomologyError
from panic_hpc.homology.metrics import UNIT_SPHERE
from panic_hpc.plain_text import counted

SMALLEST = 2.0**-126
"""Below it float32 keeps fewer than its seven digits."""

MAX_POINTS = 65_535
"""An edge's number (two vertex numbers of 16 bits) fits 32 bits, as the 4 n^2 byte matrix asks."""


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Points and which are distinct, or the distances of distinct points; one of the two."""

    n_points: int
    rows: npt.NDArray[np.float32] | None = None
    """All points; may be the caller's own array, and is not to be written to."""
    order: npt.NDArray[np.int64] | None = None
    """Which of `rows` are the distinct points, in their order."""
    matrix: npt.NDArray[np.float32] | None = None
    metric: str = "euclidean"

    @property
    def n_distinct(self) -> int:
        """Number of points left after equal ones were counted once."""
        array = self.order if self.order is not None else self.matrix
        return 0 if array is None else len(array)

    def require_finite(self) -> None:
        """Refuse points of which a number is NaN or infinite, which `prepare` does not look for."""
        if self.rows is not None:
            _require_finite(self.rows, self.metric)


def prepare(points: npt.ArrayLike, metric: str) -> Cloud:
    """Check `points`, (n, d) or the (n, n) matrix, and leave out all but one of each equal rows.

    Rows come out in the order of their bytes, so that a permutation of the input is forgotten.
    A precomputed matrix keeps the order of first appearance. That points are finite is left to
    whoever reads them all (`Cloud.require_finite`).
    """
    array = _float32(points, metric)
    if metric == "precomputed":
        _require_finite(array, metric)
        _check_matrix(array)
        keep = np.sort(_first_of_equal_rows(array))
        _check_number(len(keep))
        matrix = array if len(keep) == len(array) else array[np.ix_(keep, keep)]
        return Cloud(len(array), matrix=np.ascontiguousarray(matrix))
    if metric in UNIT_SPHERE:
        _require_finite(array, metric)
        array = _unit_rows(array)
    order = _first_of_equal_rows(array).astype(np.int64, copy=False)
    _check_number(len(order))
    return Cloud(len(array), rows=array, order=order, metric=metric)


def _float32(points: npt.ArrayLike, metric: str) -> npt.NDArray[np.float32]:
    """`points` as a C-contiguous float32 matrix, which is the caller's own if it is one already."""
    if isinstance(points, np.ma.MaskedArray) and (n_masked := np.count_nonzero(points.mask)):
        raise HomologyError(
            f"{n_masked} numbers of the points are masked",
            hint="Leave those rows out, or give the values as a plain array.",
        )
    try:
        array = np.asarray(points)
    # Tensors that need gradients, or whose type NumPy lacks, raise the other two.
    except (ValueError, TypeError, RuntimeError) as error:
        raise HomologyError(f"points are no array: {error}", hint="Give (n, d) numbers.") from error
    if array.dtype.kind not in "fiu":
        raise HomologyError(f"points have dtype {array.dtype}", hint="Give real numbers (float32).")
    if array.ndim != 2:
        raise HomologyError(
            f"points have shape {array.shape}", hint="Give an array of shape (n, d)."
        )
    if metric != "precomputed" and array.dtype == np.float32 and array.flags.c_contiguous:
        return array
    rounded = _without_negative_zeros(array)
    if array.dtype.kind == "f" and array.dtype.itemsize > rounded.itemsize:
        _require_digits(array, rounded, metric)
    return rounded


def _require_finite(rounded: npt.NDArray[np.float32], metric: str) -> None:
    # giotto-ph answers a NaN in a matrix with no H1 at all, and no error. Sums are NaN or infinite
    # where a number is, and perhaps where none is.
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(rounded.sum(axis=1)))
    bad = suspects[~np.isfinite(rounded[suspects]).all(axis=1)]
    if len(bad):
        noun = "the distance matrix" if metric == "precomputed" else "the point cloud"
        raise HomologyError(
            f"row {bad[0]} of {noun} holds NaN, infinity or a number beyond float32"
            f" ({counted(len(bad), 'such row')})",
            hint="Find out where it came from; it is never replaced.",
        )


def _require_digits(
    array: npt.NDArray[np.floating], rounded: npt.NDArray[np.float32], metric: str
) -> None:
    """Raise HomologyError where all numbers, or all of a direction, are too small for float32."""
    # Small ones beside larger ones lose nothing that a distance would show.
    rows = metric in UNIT_SPHERE
    largest = np.atleast_1d(np.abs(rounded).max(axis=1 if rows else None, initial=0))
    small = np.flatnonzero(largest < SMALLEST)
    lost = [row for row in small.tolist() if (array[row] if rows else array).any()]
    if lost:
        where = f"row {lost[0]} of the point cloud has" if rows else "the points have"
        raise HomologyError(
            f"{where} no number above {SMALLEST:.1e}, so that float32 would lose digits",
            hint="Scale the points up before, and bars down again.",
        )


def _without_negative_zeros(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    # Adding zero turns -0 into 0: equal numbers must have equal bytes, by which rows are compared.
    with np.errstate(over="ignore"):
        copy: npt.NDArray[np.float32] = np.add(
            array, np.float32(0), dtype=np.float32, casting="unsafe", order="C"
        )
    return copy


def _unit_rows(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows divided by their length, computed in float64."""
    wide = rows.astype(np.float64)
    length = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    zero = np.flatnonzero(length[:, 0] == 0)
    if len(zero):
        raise HomologyError(
            f"row {zero[0]} of the point cloud is zero and has no direction",
            hint='Leave it out or use metric="euclidean".',
        )
    rows = np.asarray(wide / length, dtype=np.float32)
    return rows + np.float32(0)


def _first_of_equal_rows(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Indices of one row of each set of equal rows, in the order of their bytes (-0 taken as 0)."""
    # Points without coordinates are all the same one, and NumPy has no view of no bytes.
    if rows.shape[0] == 0 or rows.shape[1] == 0:
        return np.arange(min(len(rows), 1), dtype=np.intp)
    # Left in, equal rows made 49 of 894 bars of H0 spurious in giotto-ph, whose distances of them
    # are about 4e-8.
    if rows.shape[1] < 2:
        return np.unique(_as_bytes(_without_negative_zeros(rows)), return_index=True)[1]
    # Sorting whole rows by their bytes is slow: the first eight nearly always decide. Rows of one
    # head are equal, or all bytes are looked at.
    heads = _without_negative_zeros(rows[:, :2]).view(">u8")[:, 0].astype(np.uint64)
    order = np.argsort(heads, kind="stable")
    heads = heads[order]
    same_head = heads[1:] == heads[:-1]
    if not _are_equal(rows, order[1:][same_head], order[:-1][same_head]):
        return np.unique(_as_bytes(_without_negative_zeros(rows)), return_index=True)[1]
    first: npt.NDArray[np.intp] = order[np.concatenate([[True], ~same_head])]
    return first


def _are_equal(
    rows: npt.NDArray[np.float32], left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]
) -> bool:
    # A few rows at a time: copies of all would be memory that the system clears first.
    step = max(1, 2**14 // rows.shape[1])
    return all(
        bool((rows[left[k : k + step]] == rows[right[k : k + step]]).all())
        for k in range(0, len(left), step)
    )


def _as_bytes(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.void]:
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()


def _check_matrix(matrix: npt.NDArray[np.float32]) -> None:
    if matrix.shape[0] != matrix.shape[1]:
        raise HomologyError(
            f"the distance matrix has shape {matrix.shape}", hint="Give a square matrix (n, n)."
        )
    if (matrix < 0).any():
        raise HomologyError("the distance matrix has negative entries", hint="Give distances.")
    if np.diagonal(matrix).any():
        raise HomologyError(
            "the distance matrix has a diagonal that is not zero", hint="Set it to 0."
        )
    # One differing bit is too many: gudhi 3.13 then hangs for ever.
    if not np.array_equal(matrix, matrix.T):
        row, column = np.argwhere(matrix != matrix.T)[0]
        raise HomologyError(
            f"the distance matrix is not symmetric at ({row}, {column})",
            hint="Copy one triangle onto the other, for example with np.maximum(D, D.T).",
        )


def _check_number(n_distinct: int) -> None:
    if n_distinct > MAX_POINTS:
        raise HomologyError(
            f"{n_distinct} distinct points are more than {MAX_POINTS}",
            hint="Their matrix alone would take 17 GB; split the run or keep every second step.",
        )
