"""Numbers of each run, for analyses that ask what they depend on: how far, how fast, how wide."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.results import Quantity
from panic_hpc.analysis.samples import share_of
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows

Column = NDArray[np.float64]

QUANTITIES = (
    Quantity("drift", "distance of the last tenth from the first state", "cosine distance"),
    Quantity("from_prompt", "distance of the last tenth from the prompt", "cosine distance"),
    Quantity("step", "distance of a state from the one before", "cosine distance"),
    Quantity("spread", "mean distance of two states of the second half", "cosine distance"),
)


def run_numbers(trajectories: TrajectorySet) -> Mapping[str, Column]:
    """Return (runs,) of each of QUANTITIES; nan where a run has too few states for it."""
    columns = {one.name: np.full(trajectories.n_runs, np.nan) for one in QUANTITIES}
    for run in np.flatnonzero(trajectories.lengths).tolist():
        states = unit_rows(trajectories.of_run(run))
        prompt = None if trajectories.prompts is None else unit_rows(trajectories.prompts[run])
        for name, value in _of_run(states, prompt).items():
            columns[name][run] = value
    return columns


def _of_run(states: NDArray[np.float32], prompt: NDArray[np.float32] | None) -> Mapping[str, float]:
    n = len(states)
    end = _mean(states[slice(*share_of(n, 0.9, 1.0))])
    found = {}
    if prompt is not None:
        found["from_prompt"] = 1.0 - float(end @ prompt)
    if n < 2:
        return found
    found["drift"] = 1.0 - float(end @ states[0])
    cosines = np.einsum("td,td->t", states[1:], states[:-1])
    found["step"] = 1.0 - float(_mean(cosines))
    late = states[n // 2 :]
    late = late[np.isfinite(late).all(axis=1)]
    if len(late) > 1:
        found["spread"] = mean_distance(late)
    return found


def mean_distance(states: NDArray[np.floating]) -> float:
    """Return the mean cosine distance of two different ones of at least two unit vectors (n, D)."""
    n = len(states)
    # All pairs, without forming any.
    length = float((states.sum(axis=0, dtype=np.float64) ** 2).sum())
    return 1.0 - (length - n) / (n * (n - 1))


def _mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean of the rows that are finite, nan of none."""
    known = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if len(known) == 0:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(known.mean(axis=0, dtype=np.float64))
