"""Is a statistic of runs other than drift alone would make it? Runs against their own surrogates.

Surrogates that keep a run's drift (phase-randomised: autocorrelation and covariance) are the
comparison that counts: against shuffled or Gaussian ones every slow walk has "structure".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.unit_means import UnitMeans
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AgainstNull:
    """Runs against surrogates of themselves.

    rank    mean place of a run among its surrogates, 0 (below all) to 1 (above all); 0.5 under the
            null; bounds over prompts
    above, below  share of runs that are above, or below, all of their surrogates
    p       of the null that runs are like their surrogates: t of the prompts' mean ranks
    """

    rank: float
    low: float
    high: float
    above: float
    below: float
    p: float
    n_prompts: int
    n_runs: int
    surrogates: int


def against_null(
    observed: ArrayLike, surrogates: ArrayLike, prompts: ArrayLike, level: float = 0.95
) -> AgainstNull:
    """Compare each run's statistic with that of its surrogates.

    Args:
        observed: (runs,); runs that are not finite, or whose surrogates are not, are left out.
        surrogates: (runs, draws) of the same statistic.
        prompts: (runs,) labels, the independent units.
        level: of the interval.

    Raises:
        AnalysisError: fewer than three prompts are left, or no surrogate was drawn.
    """
    values, drawn = np.asarray(observed, float), np.asarray(surrogates, float)
    if drawn.ndim != 2 or drawn.shape[1] == 0:
        raise AnalysisError("no surrogate was drawn: nothing to compare with")
    kept = np.isfinite(values) & np.isfinite(drawn).all(axis=1)
    part = factor("prompt", np.asarray(prompts)[kept])
    if part.n_levels < 3:
        raise AnalysisError(
            f"{counted(part.n_levels, 'prompt')} with runs and surrogates: it takes 3"
        )
    values, drawn = values[kept, None], drawn[kept]
    # Ties count half, so that equal statistics are no evidence of either side.
    ranks = (drawn < values).mean(axis=1) + 0.5 * (drawn == values).mean(axis=1)
    means = UnitMeans(part.means(ranks))
    low, high = means.bounds(level)
    return AgainstNull(
        rank=means.mean,
        low=max(0.0, low),
        high=min(1.0, high),
        above=float((drawn < values).all(axis=1).mean()),
        below=float((drawn > values).all(axis=1).mean()),
        p=means.p_differs(0.5),
        n_prompts=means.n,
        n_runs=len(values),
        surrogates=drawn.shape[1],
    )
