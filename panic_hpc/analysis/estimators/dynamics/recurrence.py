"""Recurrence quantification: how often a run comes back, and whether it stays or goes on as before.

Two states recur where they are as near as noise alone leaves them, and are at least a Theiler
window apart in time, or every slow walk would return at each step (Theiler, Physical Review A 34,
1986; measures: Marwan et al., Physics Reports 438, 2007). Walks of a run's own drift recur too, so
only the comparison with these says anything, and that at the same rate: how many pairs lie within a
distance depends on the last digit of dimension and drift, which a fit does not have, and all other
measures depend on that number. Phase-randomised surrogates are periodic and know no sphere: of
runs of pure drift they lie on one side at nearly every setting.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.shape.drift import Drift
from panic_hpc.errors import AnalysisError

Recurs = NDArray[np.bool_]
SHORTEST_LINE = 2


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Measures of one recurrence plot; 0 where nothing recurs.

    recurrence_rate  share of pairs of states beyond the window that recur
    determinism      share of recurrences on diagonal lines: the run goes on as it did before
    laminarity       share of recurrences on vertical lines: the run stays where it was before
    trapping_time    mean length of vertical lines, in states
    """

    recurrence_rate: float
    determinism: float
    laminarity: float
    trapping_time: float


def noise_threshold(states: NDArray[np.floating], drift: Drift, share: float) -> float:
    """Return the cosine distance within which `share` of the pairs that noise alone parts lie.

    Successive unit vectors (T, D) are parted by noise and by what the theme does in one step; the
    fitted drift says how much of it is noise.
    """
    steps = 1.0 - np.einsum("td,td->t", states[1:], states[:-1])
    # A little, so that states that are equal up to rounding recur where there is no noise.
    return (
        float(np.quantile(steps, share)) * drift.noise / (drift.noise + drift.moved(1) + 1e-300)
        + 1e-6
    )


def theiler_window(taus: NDArray[np.floating], n_states: int) -> int:
    """Return the median correlation time, at least one state.

    AnalysisError where that is more than a quarter of the states: a return cannot be told then.
    """
    tau = float(np.median(taus))
    window = max(1, math.ceil(tau))
    if window > n_states // 4:
        raise AnalysisError(
            f"what wanders remembers {tau:.0f} of {n_states} states: no return can be told"
        )
    return window


@dataclass(frozen=True, slots=True)
class RecurrencePlot:
    """Cosine distances of all pairs of a run's states (T, T), T above `window`."""

    distances: NDArray[np.floating]
    window: int

    @classmethod
    def of(cls, states: NDArray[np.floating], window: int) -> "RecurrencePlot":
        """Take unit vectors (T, D)."""
        exact = np.asarray(states, np.float32)
        return cls(1.0 - exact @ exact.T, window)

    def rate_within(self, threshold: float) -> float:
        """Return the share of pairs beyond the window that are within a distance."""
        return float((self._told <= threshold).mean())

    def threshold_at(self, rate: float) -> float:
        """Return the distance within which a share of the pairs beyond the window lies."""
        return float(np.quantile(self._told, rate, method="higher"))

    @property
    def _told(self) -> NDArray[np.floating]:
        return self.distances[np.triu_indices(len(self.distances), self.window)]


def recurrence(plot: RecurrencePlot, threshold: float) -> Recurrence:
    """Return the measures of a recurrence plot: states recur within a threshold."""
    n = len(plot.distances)
    lags = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    near = (plot.distances <= threshold) & (lags >= plot.window)
    count = int(near.sum())
    if count == 0:
        return Recurrence(0.0, 0.0, 0.0, 0.0)
    diagonal, vertical = _line_lengths(_sheared(near)), _line_lengths(near)
    trapped = vertical[vertical >= SHORTEST_LINE]
    return Recurrence(
        count / ((n - plot.window) * (n - plot.window + 1)),
        # The plot is symmetric: diagonals on one side are half of it.
        2 * int(diagonal[diagonal >= SHORTEST_LINE].sum()) / count,
        int(trapped.sum()) / count,
        float(trapped.mean()) if len(trapped) else 0.0,
    )


def _sheared(near: Recurs) -> Recurs:
    """Return the diagonals from the main one upwards as rows, ended by blanks: (n, n)."""
    n = len(near)
    flat = np.zeros(n * (2 * n + 1), bool)
    flat[: 2 * n * n].reshape(n, 2 * n)[:, :n] = near
    # Rows that are one place longer: that of t begins t places further, at near[t, t].
    return flat.reshape(n, 2 * n + 1)[:, :n].T


def _line_lengths(rows: Recurs) -> NDArray[np.int64]:
    """Return the lengths of unbroken stretches in rows (m, n), row after row."""
    edged = np.zeros((len(rows), rows.shape[1] + 2), np.int8)
    edged[:, 1:-1] = rows
    turns = np.diff(edged, axis=1).ravel()
    return np.asarray(np.flatnonzero(turns < 0) - np.flatnonzero(turns > 0), np.int64)
