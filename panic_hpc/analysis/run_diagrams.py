"""Persistence diagrams of runs: those of the dataset, else of parts of runs, computed here."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.base import AnalysisSettings
from panic_hpc.analysis.findings import Findings
from panic_hpc.analysis.samples import spread_places
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows
from panic_hpc.errors import AnalysisError, PanicError
from panic_hpc.homology.api import diagrams
from panic_hpc.plain_text import counted
from panic_hpc.types import DIAGRAMS

MAXDIM = 1
"""Of what is computed here; what the dataset has may go further."""


class RunDiagramSettings(AnalysisSettings):
    """What analyses of diagrams can be told.

    most_runs    of which diagrams are computed, where the dataset has none, evenly spaced
    most_states  of each of these runs, evenly spaced
    """

    most_runs: int = Field(default=200, ge=1)
    most_states: int = Field(default=150, ge=2)


@dataclass(frozen=True, slots=True)
class RunDiagrams:
    """Diagrams of some runs.

    runs  (n,) int64, rows of the set
    dgms  n lists of arrays (bars, 2), one a homology dimension; as long as that run's was finished
    """

    runs: NDArray[np.int64]
    dgms: list[list[NDArray[np.float32]]]

    @property
    def n_dimensions(self) -> int:
        """Homology dimensions that some run has."""
        return max(map(len, self.dgms))


def run_diagrams(
    trajectories: TrajectorySet, settings: RunDiagramSettings, gathered: Findings
) -> RunDiagrams:
    """Return the diagrams of runs, and gather why others have none.

    AnalysisError where none has.
    """
    if trajectories.dataset is not None and trajectories.model in trajectories.dataset.models_of(
        DIAGRAMS
    ):
        known = _of_dataset(trajectories, gathered)
    else:
        known = _computed(trajectories, settings, gathered)
    if not known.dgms:
        raise AnalysisError("no run has diagrams")
    return known


def _of_dataset(trajectories: TrajectorySet, gathered: Findings) -> RunDiagrams:
    runs, dgms = [], []
    reasons: Counter[str] = Counter()
    for run in range(trajectories.n_runs):
        try:
            dgms.append(
                trajectories.dataset.diagrams(run, trajectories.model)
                if trajectories.dataset
                else []
            )
        except PanicError:
            reasons[
                trajectories.dataset.reason(run, trajectories.model) if trajectories.dataset else ""
            ] += 1
            continue
        runs.append(run)
    for reason, count in reasons.most_common():
        gathered.lack(
            f"diagrams of {counted(count, 'run')}", reason or "no homology dimension was finished"
        )
    return RunDiagrams(np.array(runs, np.int64), dgms)


def _computed(
    trajectories: TrajectorySet, settings: RunDiagramSettings, gathered: Findings
) -> RunDiagrams:
    chosen = spread_runs(trajectories, settings.most_runs)
    gathered.lack(
        "diagrams of all states",
        f"the dataset has none: computed of {len(chosen)} of "
        f"{counted(trajectories.n_runs, 'run')}, "
        f"{settings.most_states} states each at most, H0 and H1",
    )
    clouds = {run: cloud_of(trajectories, run, settings.most_states) for run in chosen.tolist()}
    kept = [run for run, cloud in clouds.items() if len(cloud) > 1]
    return RunDiagrams(
        np.array(kept, np.int64), [list(diagrams(clouds[run], MAXDIM).dgms) for run in kept]
    )


def spread_runs(trajectories: TrajectorySet, most: int) -> NDArray[np.int64]:
    """Return at most `most` runs that have states, from all networks and prompts alike."""
    there = np.flatnonzero(trajectories.lengths)
    return np.asarray(there[spread_places(len(there), most)], dtype=np.int64)


def cloud_of(
    trajectories: TrajectorySet, run: int, most_states: int, first: float = 0.0
) -> NDArray[np.float32]:
    """Return a run's finite states (T, D), scaled to length 1, at most so many, evenly spaced.

    `first` is the share of the run that is left out at its start.
    """
    start = int(first * int(trajectories.lengths[run]))
    every = -(-(int(trajectories.lengths[run]) - start) // most_states)
    states = unit_rows(trajectories.of_run(run)[start::every])
    return states[np.isfinite(states).all(axis=1)]
