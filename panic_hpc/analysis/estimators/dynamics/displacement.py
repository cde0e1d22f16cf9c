"""How far a run gets in k states, and what of that is noise.

D(k), the mean cosine distance of two states of a run that are k apart, is a variogram: unbiased at
every lag however short the run. A stationary theme of correlation time tau under noise that is
drawn anew each state has D(k) = noise + reach · (1 - exp(-k / tau)). The estimate of the noise that
needs no fit, 2 D(1) - D(2), takes D for a straight line: it is too large by a share that grows as
tau shrinks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.variance.factors import factor

Table = NDArray[np.float64]

FEWEST_LAGS = 5
"""Three parameters are fitted: with fewer lags there is nothing left to see a misfit by."""
_TAUS_PER_DECADE = 60


def lags_of(n_states: int) -> NDArray[np.int64]:
    """Return lags evenly spaced by their logarithm, from 1 to half of `n_states`."""
    most = n_states // 2
    if most < 1:
        return np.empty(0, np.int64)
    count = 1 + int(5 * np.log2(most))
    return np.unique(np.rint(np.geomspace(1, most, count)).astype(np.int64))


def displacement_sums(
    runs: Iterable[NDArray[np.floating]], lags: Sequence[int] | NDArray[np.int64]
) -> tuple[Table, Table]:
    """Return sums of cosine distances over pairs of a run's states, and counts: (runs, lags) each.

    `runs` are unit vectors (T, D) each; a state that is not finite is in no pair.
    """
    found = [_of_run(np.asarray(states, np.float64), lags) for states in runs]
    table = np.array(found, dtype=np.float64).reshape(len(found), 2, len(lags))
    return table[:, 0], table[:, 1]


def _of_run(states: Table, lags: Sequence[int] | NDArray[np.int64]) -> tuple[list[float], ...]:
    there: NDArray[np.bool_] = np.asarray(np.isfinite(states).all(axis=1))
    if not there.all():
        states = np.where(there[:, None], states, 0.0)
    sums, counts = [], []
    for lag in lags:
        before, after = states[:-lag], states[lag:]
        n = float((there[:-lag] & there[lag:]).sum())
        sums.append(n - float(np.vdot(before, after)) if n else 0.0)
        counts.append(n)
    return sums, counts


def left_out_means(sums: Table, counts: Table, prompts: ArrayLike) -> Table:
    """Return means over all runs, then without the runs of each prompt: (1 + prompts, lags).

    Prompts are in the order of their sorted labels, as in `factor`.
    """
    part = factor("prompt", prompts).indicator()
    above, below = (np.asarray(part @ table) for table in (sums, counts))
    above = np.concatenate([above.sum(0)[None], above.sum(0) - above])
    below = np.concatenate([below.sum(0)[None], below.sum(0) - below])
    return np.where(below > 0.5, above / np.where(below > 0.5, below, 1.0), np.nan)


@dataclass(frozen=True, slots=True)
class Saturation:
    """D(k) = noise + reach · (1 - exp(-k / tau)), fitted to each of some curves: (curves,) each.

    `tau` is in states; inf where the curve does not bend within its lags, nan where it is flat.
    """

    noise: Table
    reach: Table
    tau: Table

    def at(self, lags: ArrayLike) -> Table:
        """Return D (curves, lags); nan where tau is beyond what could be told."""
        k = np.asarray(lags, float)
        bend = np.nan_to_num(self.reach[:, None]) * (1 - np.exp(-k / self.tau[:, None]))
        flat = np.where(np.isnan(self.tau)[:, None], 0.0, bend)
        found: Table = np.where(np.isinf(self.tau)[:, None], np.nan, self.noise[:, None] + flat)
        return found


def fit_saturation(lags: ArrayLike, curves: ArrayLike) -> Saturation:
    """Fit curves (curves, lags) of displacements, by least squares over a profile of tau.

    Lag k counts by 1 / (k · D(k)²): its relative error grows with the square root of k, since pairs
    that overlap say the same. Neither noise nor reach are negative. A curve that is not finite has
    nan throughout.
    """
    k, y = np.asarray(lags, float), np.atleast_2d(np.asarray(curves, float))
    # 1. A weight a lag: one for all curves, or they would not be comparable.
    scale = np.nanmean(y, axis=0) if np.isfinite(y).any() else np.ones(len(k))
    weights = 1 / (k * np.maximum(scale, 1e-12) ** 2)
    weights /= weights.sum()
    # 2. The misfit of each tau of a grid, (curves, taus), the other two parameters at their best.
    decades = np.log10(40 * k[-1]) + 0.5
    taus = np.geomspace(0.3, 20 * k[-1], max(2, int(_TAUS_PER_DECADE * decades)))
    bends = 1 - np.exp(-k / taus[:, None])
    losses = np.stack([_linear(bend, y, weights)[2] for bend in bends], axis=1)
    # 3. The lowest one, refined by a parabola through its neighbours.
    best = _lowest(np.where(np.isfinite(losses), losses, np.inf))
    tau = np.interp(best, np.arange(len(taus)), np.log(taus))
    noise, reach, _ = _linear(1 - np.exp(-k / np.exp(tau)[:, None]), y, weights)
    found = np.exp(tau)
    found[best >= len(taus) - 1.5] = np.inf
    found[~(reach > 1e-9)] = np.nan
    return Saturation(noise, np.where(np.isinf(found), np.nan, reach), found)


def _linear(bend: Table, y: Table, weights: Table) -> tuple[Table, Table, Table]:
    """Return the best noise and reach for a bend (lags,) or (curves, lags), and the misfit."""
    b_mean, y_mean = bend @ weights, y @ weights
    away = bend - b_mean[..., None]
    reach = (y * weights * away).sum(axis=1) / ((away**2) @ weights)
    reach = np.maximum(reach, 0.0)
    noise = y_mean - reach * b_mean
    without = (y * weights * bend).sum(axis=1) / ((bend**2) @ weights)
    reach = np.where(noise < 0, np.maximum(without, 0.0), reach)
    noise = np.maximum(noise, 0.0)
    left = y - noise[:, None] - reach[:, None] * bend
    return noise, reach, (left**2) @ weights


def _lowest(losses: Table) -> Table:
    """Return the place of each row's minimum, between grid points."""
    best = losses.argmin(axis=1)
    inner = np.clip(best, 1, losses.shape[1] - 2)
    rows = np.arange(len(losses))
    left, here, right = (losses[rows, inner + step] for step in (-1, 0, 1))
    bend = left - 2 * here + right
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(bend > 0, 0.5 * (left - right) / bend, 0.0)
    found: Table = np.where(best == inner, inner + np.clip(shift, -0.5, 0.5), best).astype(float)
    return found
