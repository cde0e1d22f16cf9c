"""Attractor strength and position of a scalar property of the text, as Perez et al. define them.

A line is fitted through (initial value, final value): strength is 1 - slope, position where the
line meets final = initial (Perez, Kovač, Léger et al., "When LLMs play the telephone game", ICLR
2025). Prompts are the units: runs of one prompt begin with one value, and count as one point.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from panic_hpc.analysis.estimators import student
from panic_hpc.analysis.estimators.variance.factors import Points, factor
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import counted


@dataclass(frozen=True, slots=True)
class Attraction:
    """The pull of one property, in units of the property where not said.

    strength   1 - slope: 0 where the initial value is kept, 1 where it is forgotten; no unit
    position   where values are pulled to; its bounds (Fieller) are infinite where strength may be 0
    no_pull_p  p of the null that the slope is 1 (strength 0)
    forgotten_p  p of the null that the slope is 0 (strength 1)
    n_prompts  independent units
    """

    strength: float
    strength_low: float
    strength_high: float
    position: float
    position_low: float
    position_high: float
    no_pull_p: float
    forgotten_p: float
    n_prompts: int


def attraction(
    initial: ArrayLike, final: ArrayLike, prompts: ArrayLike, level: float = 0.95
) -> Attraction:
    """Fit final = intercept + slope · initial over prompts.

    Args:
        initial: (runs,) the property of what the run began with: of the prompt itself, or values
            regress to the mean that nothing pulls there.
        final: (runs,) of what it ended with; runs that are not finite in both are left out.
        prompts: (runs,) labels.
        level: of the intervals.

    Raises:
        AnalysisError: fewer than four prompts, all begin with one value, or all lie on a line.
    """
    x, y, n = _by_prompt(np.asarray(initial, float), np.asarray(final, float), prompts)
    if n < 4:
        raise AnalysisError(
            f"{counted(n, 'prompt')} with both values: a line and its interval need 4"
        )
    if np.ptp(x) == 0:
        raise AnalysisError("all prompts begin with one value: there is no line to fit")
    design = np.stack([np.ones(n), x], axis=1)
    (intercept, slope), covariance = _fit(design, y)
    reach = student.quantile((1 + level) / 2, n - 2)
    error = float(np.sqrt(covariance[1, 1]))
    if error * np.ptp(x) < 1e-9 * max(np.abs(y).max(), np.ptp(x)):
        raise AnalysisError("final values lie on a line exactly: there is no chance to measure by")
    low, high = _fieller(intercept, slope, covariance, reach)
    return Attraction(
        strength=1 - slope,
        strength_low=1 - slope - reach * error,
        strength_high=1 - slope + reach * error,
        position=intercept / (1 - slope) if slope != 1 else float("nan"),
        position_low=low,
        position_high=high,
        no_pull_p=student.p_differs(slope - 1, error, n - 2),
        forgotten_p=student.p_differs(slope, error, n - 2),
        n_prompts=n,
    )


def _by_prompt(initial: Points, final: Points, prompts: ArrayLike) -> tuple[Points, Points, int]:
    kept = np.isfinite(initial) & np.isfinite(final)
    if not kept.any():
        raise AnalysisError("no run has both an initial and a final value")
    part = factor("prompt", np.asarray(prompts)[kept])
    return part.means(initial[kept]), part.means(final[kept]), part.n_levels


def _fit(design: Points, y: Points) -> tuple[tuple[float, float], Points]:
    """Return intercept and slope, and their covariance right for unequal variances (HC3)."""
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    leverage = np.einsum("nk,kl,nl->n", design, inverse, design)
    left = (y - design @ coefficients) / np.maximum(1 - leverage, 1e-9)
    covariance = inverse @ (design.T * left**2) @ design @ inverse
    return (float(coefficients[0]), float(coefficients[1])), covariance


def _fieller(
    intercept: float, slope: float, covariance: Points, reach: float
) -> tuple[float, float]:
    """Return the values x at which intercept + (slope - 1) x may be 0; all where there is no end.

    |a + b x| <= reach · sqrt(v_a + 2 x v_ab + x² v_b) with b = slope - 1, a quadratic in x.
    """
    a, b, square = intercept, slope - 1, reach**2
    second = b**2 - square * covariance[1, 1]
    first = a * b - square * covariance[0, 1]
    zeroth = a**2 - square * covariance[0, 0]
    root = first**2 - second * zeroth
    if second <= 0 or root < 0:
        return float("-inf"), float("inf")
    return float((-first - np.sqrt(root)) / second), float((-first + np.sqrt(root)) / second)
