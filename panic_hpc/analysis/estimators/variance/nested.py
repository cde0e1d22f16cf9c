"""Nested variance: how much of a number's variance is between prompts, between their runs, within.

Henderson's first method (Biometrics 9, 1953): mean squares of an unbalanced nested design, solved
for their components. Bounds are a jackknife over prompts of each share.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.errors import AnalysisError

Column = NDArray[np.float64]

PARTS = ("prompt", "run", "within")


@dataclass(frozen=True, slots=True)
class NestedShares:
    """Components of variance of PARTS, and their shares of the sum with bounds over prompts.

    A component is negative where a part's means differ less than chance makes them; bounds are nan
    of fewer than three prompts.
    """

    variances: tuple[float, float, float]
    shares: tuple[float, float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    n_prompts: int


def nested_shares(
    values: ArrayLike, runs: ArrayLike, prompts: ArrayLike, level: float = 0.95
) -> NestedShares:
    """Deal the variance of values out to prompts, to runs within prompts, and to what is left.

    Args:
        values: (n,) finite, several a run.
        runs: (n,) labels; a run has one prompt.
        prompts: (n,) labels.
        level: of the bounds.

    Raises:
        AnalysisError: there is one prompt only, no prompt has two runs, no run has two values, or
            all values are equal.
    """
    number, run = np.asarray(values, np.float64), factor("run", runs)
    by_run = np.asarray(prompts)[np.unique(run.codes, return_index=True)[1]]
    prompt = factor("prompt", by_run)
    # Of each run its number of values, their sum and their squares about the mean of all.
    away = number - number.mean()
    counts = np.bincount(run.codes).astype(float)
    sums = np.bincount(run.codes, away).astype(float)
    squares = np.bincount(run.codes, away**2).astype(float)
    if prompt.n_levels < 2:
        raise AnalysisError("one prompt: nothing to compare it with")
    if len(counts) == prompt.n_levels:
        raise AnalysisError("no prompt has two runs")
    if len(number) == len(counts):
        raise AnalysisError("no run has two values")
    if not squares.sum() > 0:
        raise AnalysisError("all values are equal")
    everything = _components(counts, sums, squares, prompt.codes)
    left = [everything / everything.sum()]
    if prompt.n_levels > 2:
        for gone in range(prompt.n_levels):
            kept = prompt.codes != gone
            part = _components(counts[kept], sums[kept], squares[kept], prompt.codes[kept])
            left.append(part / part.sum())
    bounds = [jackknife_interval(row, level) for row in np.array(left).T]
    a, b, c = everything.tolist()
    shares = left[0].tolist()
    return NestedShares(
        (a, b, c),
        (shares[0], shares[1], shares[2]),
        (bounds[0][1], bounds[1][1], bounds[2][1]),
        (bounds[0][2], bounds[1][2], bounds[2][2]),
        prompt.n_levels,
    )


def _components(
    counts: Column, sums: Column, squares: Column, prompts: NDArray[np.int64]
) -> Column:
    """Return the components of PARTS, nan where the design cannot tell them.

    1. Sums of squares: within runs, of runs about their prompt, of prompts about all.
    2. Their expectations are linear in the components, with coefficients of the counts alone.
    """
    codes = np.unique(prompts, return_inverse=True)[1]
    of_prompt = np.bincount(codes, counts)
    n, n_runs, n_prompts = counts.sum(), len(counts), len(of_prompt)
    run_part = (sums**2 / counts).sum()
    prompt_part = (np.bincount(codes, sums) ** 2 / of_prompt).sum()
    total_part = sums.sum() ** 2 / n
    within = (squares.sum() - run_part) / (n - n_runs) if n > n_runs else np.nan
    spread = (np.bincount(codes, counts**2) / of_prompt).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        run = (run_part - prompt_part - (n_runs - n_prompts) * within) / (n - spread)
        prompt = (
            prompt_part - total_part - (n_prompts - 1) * within
            - run * (spread - (counts**2).sum() / n)
        ) / (n - (of_prompt**2).sum() / n)  # fmt: skip
    return np.array([prompt, run, within])
