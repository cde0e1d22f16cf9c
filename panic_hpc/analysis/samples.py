"""Parts of a trajectory set that fit into memory, spread evenly over its runs and their time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet, codes_of, unit_rows
from panic_hpc.errors import AnalysisError

Rows = NDArray[np.int64]

STATES_AT_ONCE = 8192
"""24 MiB of float32 in 768 dimensions."""


@dataclass(frozen=True, slots=True)
class StateSample:
    """States of all runs, run after run in order of time.

    rows   (n,) int64, into the vectors of the set
    runs   (n,) int64, the run of each
    every  how many states of a run lie from one to the next: 1, all are here
    """

    rows: Rows
    runs: Rows
    every: int


def spread_states(trajectories: TrajectorySet, most: int) -> StateSample:
    """Return at most about `most` states: every n-th of each run, beginning with its first.

    More where there are more runs than that: each gives one. AnalysisError where there are none.
    """
    if not trajectories.lengths.any():
        raise AnalysisError("no run has any state")
    return every_nth(trajectories, np.arange(trajectories.n_runs), most)


def every_nth(trajectories: TrajectorySet, runs: Rows, most: int) -> StateSample:
    """Return at most about `most` states of some runs: every n-th of each, none of none."""
    lengths = trajectories.lengths[runs]
    every = max(1, -(-int(lengths.sum()) // most))
    counts = -(-lengths // every)
    owners = np.repeat(runs, counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return StateSample(trajectories.starts[owners] + within * every, owners, every)


def all_states(trajectories: TrajectorySet) -> StateSample:
    """Return every state of every run."""
    return spread_states(trajectories, int(trajectories.lengths.sum()))


def caption_of(trajectories: TrajectorySet, run: int, state: int) -> str | None:
    """Return the text of a state, or of the first text behind a picture; None where there is none.

    Of a model that reads pictures texts are looked up by step in the dataset.
    """
    if trajectories.modality == "text":
        texts = [] if trajectories.texts is None else trajectories.texts(run)
        return texts[state] if state < len(texts) else None
    if trajectories.dataset is None or trajectories.steps is None:
        return None
    step = int(trajectories.steps[trajectories.starts[run] + state])
    later = [text for at, text in trajectories.dataset.texts(run).items() if at > step]
    return later[0] if later else None


def spread_places(count: int, most: int) -> Rows:
    """Return at most `most` of the numbers below `count`, the first and the last among them."""
    places = np.linspace(0, max(count - 1, 0), min(count, most))
    return np.unique(places.astype(np.int64))


def time_grid(count: int, most: int) -> Rows:
    """Return at most `most` states, or runs, of `count`, from first to last, to the nearest."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def mean_directions(trajectories: TrajectorySet, first: float, last: float) -> NDArray[np.float64]:
    """Return (runs, D) the mean unit vector of each run's states from one share of it to another.

    One state at least; nan where a run has none that is finite.
    """
    means = np.full((trajectories.n_runs, trajectories.n_dimensions), np.nan)
    for run in np.flatnonzero(trajectories.lengths):
        start, stop = share_of(int(trajectories.lengths[run]), first, last)
        states = unit_rows(trajectories.of_run(int(run))[start:stop])
        states = states[np.isfinite(states).all(axis=1)]
        if len(states):
            means[run] = states.mean(axis=0, dtype=np.float64)
    return means


def has_shared_seeds(labels: RunLabels) -> bool:
    """Return whether there are several seeds, of two prompts each or more in the mean.

    Runs of one seed then share their noise, which is a factor to keep apart.
    """
    prompts = codes_of(labels.prompt)[0]
    pairs = set(zip(labels.seed.tolist(), prompts.tolist(), strict=True))
    n_seeds = len(set(labels.seed.tolist()))
    return n_seeds > 1 and len(pairs) >= 2 * n_seeds


def share_of(length: int, first: float, last: float) -> tuple[int, int]:
    """Return where a share of a run of that length begins and ends: at least one state."""
    start = min(int(first * length), length - 1)
    return start, max(start + 1, round(last * length))


def networks_of(trajectories: TrajectorySet) -> Iterator[tuple[str, TrajectorySet]]:
    """Yield (name, its runs that have states) of each network, in order of first appearance."""
    for name, own, _ in networks_with_rows(trajectories):
        yield name, own


def networks_with_rows(trajectories: TrajectorySet) -> Iterator[tuple[str, TrajectorySet, Rows]]:
    """Yield as `networks_of`, and the rows of these runs in the whole set."""
    codes, names = codes_of(trajectories.labels.network)
    for code, name in enumerate(names):
        rows = np.flatnonzero((codes == code) & (trajectories.lengths > 0))
        if len(rows):
            yield str(name), trajectories.select(rows), rows
