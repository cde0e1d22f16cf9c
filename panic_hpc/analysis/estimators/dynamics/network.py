"""Numbers of one network: what its steps are made of, and what its runs remember of the prompt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS
from panic_hpc.analysis.estimators.dynamics.displacement import (
    FEWEST_LAGS,
    displacement_sums,
    fit_saturation,
    lags_of,
    left_out_means,
)
from panic_hpc.analysis.estimators.dynamics.memory import (
    Apart,
    distances_apart,
    memory_of,
    time_bins,
)
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.analysis.trajectory_set import TrajectorySet

Column = NDArray[np.float64]
Bounds = tuple[float, float, float]
"""(estimate, low, high); bounds are nan where prompts are too few or one alone decides."""
NAN = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class NetworkDynamics:
    """What is measured of a network's runs. Distances are cosine distances, times are states.

    Columns (1 + prompts,) are of all runs, then without those of each prompt in turn.

    n_states       the median length of its runs; later states are not read
    n_prompts      of its runs that have a state
    lags           (lags,) of displacements, which are of the second half of the runs
    displacement   (1 + prompts, lags)
    noise, reach   columns of the fit: what each state draws anew, and what displacement adds to it
    tau            column, correlation time; inf where it is longer than can be told, nan without
                   motion
    bins           distances of twins and strangers over time
    half, late     the same at half time and in the last quarter, None where runs are too short
    level          of the intervals
    """

    n_states: int
    n_prompts: int
    lags: NDArray[np.int64]
    displacement: Column
    noise: Column
    reach: Column
    tau: Column
    bins: list[Apart]
    half: Apart | None
    late: Apart | None
    level: float

    def bounds(self, column: Column) -> Bounds:
        """Return the jackknife's interval of a column."""
        if len(column) == 0:
            return NAN
        if self.n_prompts < FEWEST_UNITS:
            return float(column[0]), float("nan"), float("nan")
        return jackknife_interval(column, self.level)

    @property
    def tau_bounds(self) -> Bounds:
        """The correlation time's interval, by its logarithm; its end may be inf."""
        if len(self.tau) == 0 or np.isnan(self.tau[0]):
            return NAN
        if np.isinf(self.tau).any():
            return float(self.tau[0]), float("nan"), float("inf")
        estimate, low, high = np.exp(self.bounds(np.log(self.tau)))
        return float(estimate), float(low), float(high)

    @property
    def memory(self) -> Column:
        """Memory in the last quarter."""
        return _blank(self) if self.late is None else memory_of(self.late, self.noise)

    @property
    def memory_change(self) -> Column:
        """Its change since half time."""
        if self.half is None or self.late is None:
            return _blank(self)
        return memory_of(self.late, self.noise) - memory_of(self.half, self.noise)

    @property
    def has_levelled(self) -> bool:
        """Whether runs get as far within their second half as they ever will, or as twins are."""
        if np.isnan(self.tau[0]):
            return bool(np.isfinite(self.noise[0]))
        if self.tau_bounds[2] <= self.lags[-1]:
            return True
        return bool(self.late is not None and self.displacement[0, -1] >= self.late.twins[0])


def _blank(of: NetworkDynamics) -> Column:
    return np.full(of.n_prompts + 1, np.nan)


def network_dynamics(trajectories: TrajectorySet, level: float = 0.95) -> NetworkDynamics:
    """Measure the runs of one network, which all have a state; reads a run at a time.

    Displacements are of the second half of the runs, since the first still leaves the prompt.
    """
    n_states = int(np.median(trajectories.lengths))
    prompts = trajectories.labels.prompt
    n_prompts = len(np.unique(prompts))
    first = n_states // 2
    lags = lags_of(n_states - first)
    if len(lags) < FEWEST_LAGS:
        first, lags = 0, np.arange(1, min(2, n_states - 1) + 1)
    sums, counts = displacement_sums(
        (trajectories.unit(run)[first:n_states] for run in range(trajectories.n_runs)), lags
    )
    curves = left_out_means(sums, counts, prompts)
    blank = np.full(n_prompts + 1, np.nan)
    noise = reach = tau = blank
    if len(lags) >= FEWEST_LAGS and np.isfinite(curves).all():
        fitted = fit_saturation(lags, curves)
        noise, reach, tau = fitted.noise, fitted.reach, fitted.tau
    bins, half, late = distances_apart(
        trajectories.at, time_bins(n_states), prompts, trajectories.labels.seed
    )
    return NetworkDynamics(
        n_states, n_prompts, lags, curves, noise, reach, tau, bins, half, late, level
    )
