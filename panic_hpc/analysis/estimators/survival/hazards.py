"""What makes things end sooner: Cox's proportional hazards, whole units left out for intervals.

Cox, Journal of the Royal Statistical Society B 34, 1972, ties by Efron, as statsmodels fits it. Its
own standard errors count every run as independent, and robust ones are too small for few prompts:
so whole prompts are left out (jackknife). Whether a label matters is asked of scores that need no
fit: how much sooner each ended than all did in the mean, which are those of the log-rank test.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.errors import AnalysisError
from panic_hpc.extras import missing_library

Column = NDArray[np.float64]

_FARTHEST = 10.0
"""A logarithm of a hazard ratio beyond which data separate: there is no largest likelihood."""
_SEPARATE = "the data separate: no ratio of hazards is the likeliest"


@dataclass(frozen=True, slots=True)
class HazardRatio:
    """How many times as often a thing ends: of a group beside all groups, or by one of a covariate.

    1 is no difference, above 1 is sooner; bounds are nan where one unit decides whether there is an
    estimate, or units are too few.
    """

    term: str
    ratio: float
    low: float
    high: float


def hazard_ratios(
    durations: ArrayLike,
    has_ended: ArrayLike,
    groups: Sequence[str] | NDArray[np.str_],
    covariates: Mapping[str, ArrayLike],
    units: Sequence[str] | NDArray[np.str_],
    level: float = 0.95,
) -> list[HazardRatio]:
    """Fit proportional hazards with groups (networks) and covariates.

    Args:
        durations: (n,) how long each was watched.
        has_ended: (n,) whether it ended then.
        groups: (n,) labels; their ratios are beside the geometric mean of all groups.
        covariates: (n,) each, finite; by name.
        units: (n,) labels of independent units (prompts), left out one at a time.
        level: of the intervals.

    Raises:
        AnalysisError: nothing to compare, or a group in which nothing or everything ends at once,
            so that no ratio is the likeliest.
    """
    time, ended = np.asarray(durations, float), np.asarray(has_ended, float)
    group, unit = factor("group", groups), factor("unit", units)
    coded = np.eye(group.n_levels)[group.codes]
    # Against the mean of all: the last group's effect is what the others' leave.
    design = np.column_stack([coded[:, :-1] - coded[:, -1:], *map(np.asarray, covariates.values())])
    if design.shape[1] == 0:
        raise AnalysisError("one network, and nothing that is known of prompts differs")
    first = _fitted(time, ended, design)
    left = [_or_nan(time, ended, design, unit.codes != one) for one in range(unit.n_levels)]
    fits = np.stack([first, *left])
    of_groups = fits[:, : group.n_levels - 1]
    effects = np.column_stack([of_groups, -of_groups.sum(axis=1), fits[:, group.n_levels - 1 :]])
    names = [*map(str, group.levels), *covariates]
    # One group alone is no contrast.
    kept = range(len(names)) if group.n_levels > 1 else range(1, len(names))
    return [
        HazardRatio(names[place], *np.exp(jackknife_interval(effects[:, place], level)).tolist())
        for place in kept
    ]


def _or_nan(time: Column, ended: Column, design: Column, kept: NDArray[np.bool_]) -> Column:
    try:
        return _fitted(time[kept], ended[kept], design[kept])
    except AnalysisError:
        return np.full(design.shape[1], np.nan)


def _fitted(time: Column, ended: Column, design: Column) -> Column:
    try:
        from statsmodels.duration.hazard_regression import PHReg
        from statsmodels.tools.sm_exceptions import ModelWarning
    except ModuleNotFoundError as error:
        raise AnalysisError(str(missing_library(error) or error)) from error
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("error", ModelWarning)
        try:
            found = PHReg(time, design, status=ended, ties="efron").fit(disp=False)
        except (np.linalg.LinAlgError, ModelWarning, ValueError) as error:
            raise AnalysisError(_SEPARATE) from error
    effects = np.asarray(found.params, np.float64)
    if not (np.abs(effects) < _FARTHEST).all():
        raise AnalysisError(_SEPARATE)
    return effects


def log_rank_scores(durations: ArrayLike, has_ended: ArrayLike) -> Column:
    """Return (n,) how much sooner each ended than all: 1 or 0, less the hazard that it outlasted.

    They sum up to 0 (martingale residuals of the Nelson-Aalen estimate). AnalysisError where none
    ended.
    """
    time, ended = np.asarray(durations, float), np.asarray(has_ended, bool)
    if not ended.any():
        raise AnalysisError("nothing ended while it was watched")
    times, counts = np.unique(time[ended], return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), times)
    hazard = np.concatenate([[0.0], np.cumsum(counts / at_risk)])
    return np.asarray(ended - hazard[np.searchsorted(times, time, side="right")])
