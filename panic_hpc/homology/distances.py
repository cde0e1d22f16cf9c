"""Distances between persistence diagrams, by gudhi's hera, for one pair or a whole set of runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from types import ModuleType

import numpy as np
import numpy.typing as npt

from panic_hpc.errors import HomologyError

Diagram = npt.NDArray[np.floating]


def bottleneck(a: Diagram, b: Diagram, relative_error: float = 0.0) -> float:
    """Bottleneck distance of two diagrams (n, 2), in units of their lengths; 0.0 is exact.

    inf if the numbers of bars that never die differ. Kerber, Morozov, Nigmetov: "Geometry helps to
    compare persistence diagrams", 2017.
    """
    hera = _import_hera()
    return float(hera.bottleneck_distance(_float64(a), _float64(b), delta=relative_error))


def wasserstein(a: Diagram, b: Diagram, order: float = 1.0, relative_error: float = 0.01) -> float:
    """Wasserstein distance of two diagrams (n, 2), in units of their lengths.

    Matched points are compared by the larger difference of births and deaths (the maximum norm),
    as in the bottleneck distance. `relative_error` is above 0: the auction algorithm stops there.
    """
    hera = _import_hera()
    found = hera.wasserstein_distance(
        _float64(a), _float64(b), order=order, internal_p=np.inf, delta=relative_error
    )
    return float(found)


def pairwise(
    dgms: Sequence[Diagram],
    kind: str = "bottleneck",
    order: float = 1.0,
    relative_error: float = 0.01,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Symmetric (n, n) float64 matrix of the distances of n diagrams of one dimension.

    `kind` is `bottleneck` or `wasserstein`. The distances are computed outside Python's lock, so
    threads help; the result does not depend on them.
    """
    if kind not in ("bottleneck", "wasserstein"):
        raise HomologyError(f"distance {kind!r} is unknown", hint="Use bottleneck or wasserstein.")
    _import_hera()
    pairs = list(combinations(range(len(dgms)), 2))

    def distance(pair: tuple[int, int]) -> float:
        a, b = dgms[pair[0]], dgms[pair[1]]
        if kind == "bottleneck":
            return bottleneck(a, b, relative_error)
        return wasserstein(a, b, order, relative_error)

    matrix = np.zeros((len(dgms), len(dgms)))
    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        for (i, j), found in zip(pairs, pool.map(distance, pairs), strict=True):
            matrix[i, j] = matrix[j, i] = found
    return matrix


def _float64(dgm: Diagram) -> npt.NDArray[np.float64]:
    return np.ascontiguousarray(dgm, dtype=np.float64).reshape(-1, 2)


def _import_hera() -> ModuleType:
    try:
        import gudhi.hera
    except ImportError as error:
        raise HomologyError(
            "distances of diagrams need gudhi, which is not installed",
            hint="pip install 'panic-hpc[analysis]'.",
        ) from error
    hera: ModuleType = gudhi.hera
    return hera
