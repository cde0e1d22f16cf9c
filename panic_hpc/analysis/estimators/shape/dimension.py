"""Intrinsic dimension of a cloud of states, from each one's two nearest others (TwoNN).

Facco, d'Errico, Rodriguez, Laio, "Estimating the intrinsic dimension of datasets by a minimal
neighborhood information", Scientific Reports 7, 2017.
"""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError

TRIMMED = 0.1
"""Share of the largest ratios that is left out: noise of the far neighbours."""


def two_nn(
    points: NDArray[np.floating], window: int = 0, runs: NDArray[np.int64] | None = None
) -> float:
    """Return the intrinsic dimension of (n, d) points by their ratios of second to first distance.

    The estimate is the maximum of the likelihood where the largest tenth of the ratios is only
    known to be large. Equal points are one. `window`: states of one run at most so many steps apart
    are no neighbours (Theiler), since successive states make every run a curve. `runs` (n,): of
    states of many runs, those of one run are none at all. Raises AnalysisError for fewer than ten
    points.
    """
    table = np.asarray(points, dtype=np.float64)
    finite = np.isfinite(table).all(axis=1)
    table = table[finite]
    _, first = np.unique(table, axis=0, return_index=True)
    order = np.sort(first)
    table = table[order]
    if len(table) < max(10, 2 * window + 3):
        raise AnalysisError(f"states that differ: {len(table)}, too few for two neighbours each")
    squares = (table**2).sum(axis=1)
    away = np.maximum(squares[:, None] + squares[None] - 2 * table @ table.T, 0.0)
    if runs is None:
        away[np.abs(order[:, None] - order[None]) <= window] = np.inf
    else:
        own = np.asarray(runs)[finite][order]
        away[own[:, None] == own[None]] = np.inf
    nearest = np.sqrt(np.partition(away, 1, axis=1)[:, :2])
    known = np.isfinite(nearest).all(axis=1) & (nearest[:, 0] > 0)
    logs = np.sort(np.log(nearest[known, 1] / nearest[known, 0]))
    counted = int(len(logs) * (1 - TRIMMED))
    total = logs[:counted].sum() + (len(logs) - counted) * logs[counted - 1] if counted else 0.0
    if total <= 0:
        raise AnalysisError("all states are as far from their second neighbour as from their first")
    return float(counted / total)
