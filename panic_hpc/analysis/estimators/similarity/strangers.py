"""Do strangers converge? Distances of runs of different prompts, and of one, from step to step.

The simplest test of a shared attractor: where a network pulls everything to one place, runs of
different prompts come nearer to each other. Exact over all pairs, by whole prompts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators import student
from panic_hpc.analysis.estimators.variance.ladder import (
    jackknife_error,
    jackknife_interval,
    left_out,
    pair_sums,
)
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Convergence:
    """Mean cosine distances by step, and how that of strangers changed.

    strangers, low, high  (steps,) of runs of different prompts, with bounds over whole prompts
    twins     (steps,) of runs of one prompt, nan where no prompt has two
    change    mean of the last tenth of the steps less that of the first, with bounds; of the steps
              at which strangers are left whichever prompt is left out
    relative  the same as a share of the first
    p         of the null of no change, from the jackknife over prompts
    """

    strangers: Column
    low: Column
    high: Column
    twins: Column
    change: float
    change_low: float
    change_high: float
    relative: float
    p: float
    n_prompts: int


def convergence(
    vectors: NDArray[np.floating], prompts: ArrayLike, level: float = 0.95
) -> Convergence:
    """Return distances between the runs of one network by step.

    vectors is (runs, steps, d), may be a memory map, nan behind a run's end. Raises AnalysisError
    for fewer than three prompts, or fewer than two steps.
    """
    n_steps = vectors.shape[1]
    if n_steps < 2:
        raise AnalysisError("one step only: nothing can have changed")
    left = np.array(list(_by_step(vectors, prompts)))
    n_prompts = left.shape[2] - 1
    if n_prompts < 3:
        raise AnalysisError(f"{counted(n_prompts, 'prompt')}: strangers and an interval need 3")
    bounds = np.array([jackknife_interval(step, level) for step in left[:, 1]])
    known = left[np.isfinite(left[:, 1]).all(axis=1), 1]
    if len(known) < 2:
        raise AnalysisError("at fewer than two steps have three prompts a run each")
    tenth = max(1, len(known) // 10)
    first, last = known[:tenth].mean(axis=0), known[-tenth:].mean(axis=0)
    change, low, high = jackknife_interval(last - first, level)
    error = jackknife_error(last - first)
    return Convergence(
        strangers=bounds[:, 0],
        low=bounds[:, 1],
        high=bounds[:, 2],
        twins=left[:, 0, 0],
        change=change,
        change_low=low,
        change_high=high,
        relative=float(change / first[0]) if first[0] > 0 else float("nan"),
        p=student.p_differs(change, error, n_prompts - 1),
        n_prompts=n_prompts,
    )


def _by_step(vectors: NDArray[np.floating], prompts: ArrayLike) -> Iterator[Column]:
    """Yield (2, 1 + prompts) distances of twins and of strangers, then with a prompt left out."""
    for step in range(vectors.shape[1]):
        sums = pair_sums(np.asarray(vectors[:, step]), {"prompt": prompts})
        yield np.stack([left_out(sums, frozenset(), same=same) for same in (True, False)])
