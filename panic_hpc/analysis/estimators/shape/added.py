"""Do some features add anything to others? Skill of a linear prediction, whole prompts held out.

For "does H1 add anything to the distances?": base features are distances, added ones those of
diagrams, and the answer is the gain in held-out R², which may be negative and often is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.prediction.ridge import ridge_prediction
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.estimators.variance.ladder import jackknife_interval
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AddedSkill:
    """Held-out R² of the base features, of both together, and the gain, bounds over prompts.

    1 is perfect, 0 as good as the mean of the other prompts, below 0 worse.
    """

    base: float
    both: float
    gain: float
    low: float
    high: float
    n_prompts: int
    n_runs: int


def added_skill(
    outcome: ArrayLike,
    base: ArrayLike,
    added: ArrayLike,
    prompts: ArrayLike,
    *,
    folds: int = 10,
    level: float = 0.95,
    seed: int = 0,
) -> AddedSkill:
    """Predict an outcome from base features, and from these and the added ones.

    Args:
        outcome: (runs,) or (runs, outcomes); of words make a column of 0 and 1 each.
        base, added: (runs, features); runs that are not finite throughout are left out.
        prompts: (runs,) labels; a prompt is never in both of training and test.
        folds: of prompts, as many as there are prompts at most.
        level: of the interval (jackknife over prompts' errors).
        seed: deals prompts out to folds.

    Raises:
        AnalysisError: fewer than four prompts, or an outcome that does not vary.
    """
    y, first, second = (_table(one) for one in (outcome, base, added))
    kept = np.isfinite(np.concatenate([y, first, second], axis=1)).all(axis=1)
    part = factor("prompt", np.asarray(prompts)[kept])
    if part.n_levels < 4:
        raise AnalysisError(
            f"{counted(part.n_levels, 'prompt')}: held-out skill and its interval need 4"
        )
    y, first, second = y[kept], first[kept], second[kept]
    if np.ptp(y, axis=0).max() == 0:
        raise AnalysisError("the outcome is the same for all runs")
    dealt = np.random.default_rng(seed).permutation(part.n_levels) % min(folds, part.n_levels)
    fold = dealt[part.codes]
    blank = np.zeros((len(y), 0))
    errors = np.stack(
        [
            _by_prompt(_held_out(y, features, part.codes, fold), part.codes)
            for features in (blank, first, np.concatenate([first, second], axis=1))
        ]
    )
    left = np.concatenate([errors.sum(axis=1)[:, None], errors.sum(axis=1)[:, None] - errors], 1)
    skills = 1 - left[1:] / left[0]
    gain, low, high = jackknife_interval(skills[1] - skills[0], level)
    base_skill, both = skills[:, 0].tolist()
    return AddedSkill(base_skill, both, gain, low, high, part.n_levels, len(y))


def _table(values: ArrayLike) -> Table:
    found = np.asarray(values, dtype=np.float64)
    return found[:, None] if found.ndim == 1 else found


def _by_prompt(errors: Table, prompts: NDArray[np.int64]) -> Table:
    return np.asarray(np.bincount(prompts, errors), dtype=np.float64)


def _held_out(
    y: Table, features: Table, prompts: NDArray[np.int64], fold: NDArray[np.int64]
) -> Table:
    """Return each run's squared error where its prompt's fold was held out."""
    errors = np.empty(len(y))
    for held in np.unique(fold):
        test = fold == held
        predicted = ridge_prediction(features[~test], y[~test], prompts[~test], features[test])
        # A line goes on beyond all that training has seen, and one such prompt would decide.
        seen = np.clip(predicted, y[~test].min(axis=0), y[~test].max(axis=0))
        errors[test] = ((y[test] - seen) ** 2).sum(axis=1)
    return errors
