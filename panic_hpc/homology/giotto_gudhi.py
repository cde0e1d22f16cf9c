"""Doors to giotto-ph (AGPL) and gudhi: optional engines and the oracles of the tests."""

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from panic_hpc import clock
from panic_hpc.errors import HomologyError
from panic_hpc.homology.cloud import Cloud
from panic_hpc.homology.distance_matrix import distance_matrix
from panic_hpc.homology.engine import Outcome, Request

BYTES_PER_ENTRY = 30
"""Peak bytes of giotto-ph and gudhi per entry of the matrix: measured 22 to 29 at n >= 5000."""

Matrix = npt.NDArray[np.float32]


def giotto_ph(cloud: Cloud, request: Request, spent: float) -> Outcome:
    """Diagrams from giotto-ph's `ripser_parallel` on this package's own distance matrix."""
    ripser_parallel = _import_giotto_ph()

    def compute(matrix: Matrix) -> list[Any]:
        found = ripser_parallel(
            matrix,
            # Not from points: its distances of equal rows are not 0 but about 4e-8.
            metric="precomputed",
            maxdim=request.maxdim,
            # inf stays inf: giotto-ph takes the enclosing radius itself, and given it by hand goes
            # a sparse way that is 1.3 to 2 times slower.
            thresh=request.thresh,
            # No collapse_edges: on trajectories of 500 points it took 16 s and more, plain 0.07 to
            # 0.09 s.
            n_threads=request.threads,
        )
        return list(found["dgms"])

    return _solve(cloud, request, compute)


def gudhi(cloud: Cloud, request: Request, spent: float) -> Outcome:
    """Diagrams from gudhi's `RipsPersistence` on this package's own distance matrix."""
    rips_persistence = _import_gudhi()

    def compute(matrix: Matrix) -> list[Any]:
        rips = rips_persistence(
            homology_dimensions=list(range(request.maxdim + 1)),
            threshold=request.thresh,
            input_type="full distance matrix",
            homology_coeff_field=2,
        )
        return list(rips.fit_transform([matrix])[0])

    return _solve(cloud, request, compute)


ENGINES = {"giotto-ph": giotto_ph, "gudhi": gudhi}


def _solve(cloud: Cloud, request: Request, compute: Callable[[Matrix], list[Any]]) -> Outcome:
    cloud.require_finite()
    limit = request.memory_limit_bytes
    # Beforehand and by estimate: neither package can be stopped once it runs.
    if limit is not None and BYTES_PER_ENTRY * cloud.n_distinct**2 > limit:
        return Outcome([], {}, stopped_reason="memory")
    peak = _peak_bytes()
    start = clock.monotonic()
    rows = cloud.rows
    matrix = cloud.matrix if rows is None else _distances(rows[cloud.order], request.threads)
    assert matrix is not None  # a cloud has rows or a matrix
    between = clock.monotonic()
    dgms = _lone_point(request) if cloud.n_distinct == 1 else _guarded(compute, matrix, request)
    seconds = {"distances": between - start, "reduction": clock.monotonic() - between}
    return Outcome(dgms, seconds, peak_bytes=_peak_bytes() - peak)


def _distances(rows: Matrix, threads: int) -> Matrix:
    try:
        return distance_matrix(rows, threads)
    except OverflowError as error:
        raise HomologyError(str(error), hint="Scale the points down.") from error


def _guarded(compute: Callable[[Matrix], list[Any]], matrix: Matrix, request: Request) -> list[Any]:
    """What the package answers; an error of its own is told with the cloud it was given."""
    try:
        return compute(matrix)
    except MemoryError:
        raise
    # For example giotto-ph's OverflowError, where the numbers of simplices exceed 64 bits.
    except Exception as error:
        raise HomologyError(
            f"the engine cannot compute {len(matrix)} points up to dimension {request.maxdim}:"
            f" {type(error).__name__}: {error}",
            hint="Use a smaller maxdim or fewer points.",
        ) from error


def _lone_point(request: Request) -> list[npt.NDArray[np.float32]]:
    """One class that never dies; the packages disagree about matrices of one entry."""
    rest = [np.empty((0, 2), np.float32)] * request.maxdim
    return [np.array([[0, np.inf]], np.float32), *rest]


def _peak_bytes() -> int:
    # KiB on Linux. A peak of the whole process: a smaller cloud after a larger one adds 0.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _import_giotto_ph() -> Any:
    try:
        from gph import ripser_parallel
    except ImportError as error:
        raise HomologyError(
            "engine giotto-ph is not installed",
            hint="pip install giotto-ph (Python 3.11 and 3.12 only).",
        ) from error
    return ripser_parallel


def _import_gudhi() -> Any:
    try:
        from gudhi.sklearn.rips_persistence import RipsPersistence
    except ImportError as error:
        raise HomologyError(
            "engine gudhi is not installed", hint="pip install gudhi scikit-learn."
        ) from error
    return RipsPersistence
