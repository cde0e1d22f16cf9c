"""Which of several is preferred, from comparisons of two at a time: the Bradley-Terry model.

i is preferred to j with probability 1 / (1 + exp(s_j - s_i)) (Bradley and Terry, Biometrika 39,
1952); a tie is half a preference each way. What is told of an arm is its share: the probability
that it is preferred to another arm of its group, on average over these. Groups are arms that
comparisons connect; between groups nothing was said, so that nothing is told.

Comparisons of one prompt, and those of one voter, depend on each other. So whole prompts are drawn,
and whole voters, and single comparisons, and the variances add up as V(prompts) + V(voters) -
V(single) (Cameron, Gelbach and Miller, "Robust inference with multiway clustering", Journal of
Business & Economic Statistics 29, 2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.analysis.estimators.bootstrap import (
    FEWEST_UNITS,
    interval,
    unanimous_reach,
    unit_weights,
)
from panic_hpc.analysis.trajectory_set import codes_of
from panic_hpc.plain_text import counted

Values = NDArray[np.float64]

RIDGE = 1e-3
"""Of the squared strengths: what keeps those of arms that always win finite, at shares near 1."""
NEWTON_STEPS = 60
DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class Strength:
    """How an arm stands.

    share: the probability that it is preferred to another arm of its group; nan where it was
        compared with none.
    low, high: the share's interval, nan where there is none.
    log_odds: its strength, 0 on average over its group.
    group: number of its group, from 0.
    best_rank, worst_rank: the ranks within its group that are left possible by the arms that are
        above or below it, judged by their differences at the level over its rivals (Bonferroni).
    n: comparisons that it was in.
    """

    share: float
    low: float
    high: float
    log_odds: float
    group: int
    best_rank: int
    worst_rank: int
    n: int


@dataclass(frozen=True, slots=True)
class Strengths:
    """All arms.

    over: what the intervals are over, "prompts and voters", say; "" where there are none.
    why: why there is no interval, or what it does not cover; "" for neither.
    unbeaten, unbeating: arms that nothing was preferred to at least half of a time, and that were
        preferred to nothing so: their strengths have no bound on one side.
    """

    arms: tuple[Strength, ...]
    over: str
    why: str
    unbeaten: tuple[int, ...]
    unbeating: tuple[int, ...]


def bradley_terry(
    one: ArrayLike,
    other: ArrayLike,
    outcomes: ArrayLike,
    prompts: Sequence[object],
    voters: Sequence[object],
    *,
    n_arms: int,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Strengths:
    """Judge arms by comparisons (n,): `one` and `other` are arms, `outcomes` 1 where one is better.

    An outcome is 0 where the other is better, 0.5 for a tie.

    Example:
        >>> found = bradley_terry([0] * 4, [1] * 4, [1, 1, 1, 0], "abcd", "vvvv", n_arms=2)
        >>> round(found.arms[0].share, 2), found.over
        (0.75, 'prompts')
    """
    cells = _cells(one, other, outcomes, n_arms)
    wins = cells.sum(axis=0)
    groups = _groups(wins)
    rng = np.random.default_rng(seed)
    theta = fitted(wins)
    share = shares(theta, groups)
    units = {"prompts": prompts, "voters": voters}
    found = _intervals(cells, groups, share, units, level, draws, rng)
    low, high, over, why = found.low, found.high, found.over, found.why
    best, worst = _possible_ranks(found.is_above, groups)
    counts = (wins + wins.T).sum(axis=0)
    arms = tuple(
        Strength(
            float(share[k]), float(low[k]), float(high[k]), float(theta[k]), int(groups[k]),
            int(best[k]), int(worst[k]), round(float(counts[k])),
        )
        for k in range(n_arms)
    )  # fmt: skip
    lost, won = wins.sum(axis=0), wins.sum(axis=1)
    never = [tuple(np.flatnonzero((counts > 0) & (side == 0)).tolist()) for side in (lost, won)]
    return Strengths(arms, over, why, *never)


def fitted(wins: Values) -> Values:
    """Return strengths (…, K), mean 0, of wins (…, K, K): how often the first is preferred.

    Newton's method on the likelihood with RIDGE / 2 · |strengths|²; steps are cut to 1, so that it
    does not leave where the likelihood is flat.
    """
    n_arms = wins.shape[-1]
    games = wins + np.swapaxes(wins, -1, -2)
    theta = np.zeros(wins.shape[:-1])
    identity = np.eye(n_arms)
    for _ in range(NEWTON_STEPS):
        p = _sigmoid(theta[..., :, None] - theta[..., None, :])
        gradient = wins.sum(axis=-1) - (games * p).sum(axis=-1) - RIDGE * theta
        curvature = games * p * (1 - p)
        hessian = identity * (curvature.sum(axis=-1)[..., None] + RIDGE) - curvature
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max(initial=0) < 1e-8:
            break
    return theta


def shares(theta: Values, groups: NDArray[np.int64]) -> Values:
    """Return each arm's mean probability to be preferred to another one of its group, (…, K)."""
    is_rival = (groups[:, None] == groups[None, :]) & ~np.eye(len(groups), dtype=bool)
    p = _sigmoid(theta[..., :, None] - theta[..., None, :])
    with np.errstate(invalid="ignore"):
        return np.asarray((p * is_rival).sum(axis=-1) / is_rival.sum(axis=-1))


def _cells(one: ArrayLike, other: ArrayLike, outcomes: ArrayLike, n_arms: int) -> Values:
    """Return the wins of each comparison, (n, K, K)."""
    a, b, won = np.asarray(one, int), np.asarray(other, int), np.asarray(outcomes, float)
    found = np.zeros((len(a), n_arms, n_arms))
    rows = np.arange(len(a))
    found[rows, a, b] = won
    found[rows, b, a] = 1 - won
    return found


def _groups(wins: Values) -> NDArray[np.int64]:
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(wins + wins.T, directed=False)[1], np.int64)


@dataclass(frozen=True, slots=True)
class _Intervals:
    """Bounds (K,) of shares; which arms are above which (K, K); over what; what is missing."""

    low: Values
    high: Values
    is_above: NDArray[np.bool_]
    over: str
    why: str


def _intervals(
    cells: Values,
    groups: NDArray[np.int64],
    share: Values,
    units: Mapping[str, Sequence[object]],
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> _Intervals:
    counts = {name: len(set(own)) for name, own in units.items()}
    enough = [name for name in units if counts[name] >= FEWEST_UNITS]
    if not enough:
        none, nothing = np.full(len(share), np.nan), np.zeros((len(share),) * 2, bool)
        told = " and ".join(counted(counts[name], name.removesuffix("s")) for name in units)
        why = f"{told}; it needs {FEWEST_UNITS} prompts or voters"
        return _Intervals(none, none, nothing, "", why)
    drawn = [_drawn_shares(cells, units[name], groups, draws, rng) for name in enough]
    if len(enough) == 2:
        drawn.append(_drawn_shares(cells, range(len(cells)), groups, draws, rng))
    n_units = [counts[name] for name in enough]
    low, high, widest = _combined(share, drawn, n_units, level)
    low, high = _of_unanimous(share, low, high, widest, min(n_units), level)
    gaps = [(one[:, :, None] - one[:, None, :]).reshape(draws, -1) for one in drawn]
    apart = 1 - (1 - level) / max(len(share) - 1, 1)
    gap = (share[:, None] - share[None, :]).ravel()
    least, _, _ = _combined(gap, gaps, n_units, apart, is_share=False)
    fixed = next((name for name in units if name not in enough), "")
    told = counted(counts[fixed], fixed.removesuffix("s")) if fixed else ""
    why = f"they hold for {told} alone" if fixed else ""
    is_above = (least > 0).reshape(len(share), -1)
    return _Intervals(low, high, is_above, " and ".join(enough), why)


def _drawn_shares(
    cells: Values,
    units: Sequence[object],
    groups: NDArray[np.int64],
    draws: int,
    rng: np.random.Generator,
) -> Values:
    """Return the shares of arms in each draw of whole units, (draws, K)."""
    codes, names = codes_of(units)
    n_arms = cells.shape[-1]
    by_unit = np.zeros((len(names), n_arms * n_arms))
    np.add.at(by_unit, codes, cells.reshape(len(cells), -1))
    drawn = (unit_weights(len(names), draws, rng) @ by_unit).reshape(draws, n_arms, n_arms)
    return shares(fitted(drawn), groups)


def _combined(
    centre: Values,
    drawn: Sequence[Values],
    n_units: Sequence[int],
    level: float,
    *,
    is_share: bool = True,
) -> tuple[Values, Values, Values]:
    """Return (low, high, width before) of statistics (k,) from draws (draws, k) of each unit.

    Of two units, and single comparisons as the third, the wider interval is stretched by what the
    variances add up to; on the scale of log odds where statistics are shares.
    """
    n_columns = len(centre)
    bounds = [
        np.array([interval(own[:, k], level, n) for k in range(n_columns)]).T
        for own, n in zip(drawn, [*n_units, 0], strict=False)
    ]
    widths = np.array([high - low for low, high in bounds])
    if len(bounds) == 1:
        return (*bounds[0], widths[0])
    widest = np.maximum(widths[0], widths[1])
    low, high = np.where(widths[1] > widths[0], bounds[1], bounds[0])
    squared = np.maximum(widths[0] ** 2 + widths[1] ** 2 - widths[2] ** 2, widest**2)
    factor = np.sqrt(squared) / np.where(widest > 0, widest, 1)
    if is_share:
        return _stretched(centre, low, factor), _stretched(centre, high, factor), widest
    return centre + factor * (low - centre), centre + factor * (high - centre), widest


def _stretched(share: Values, bound: Values, factor: Values) -> Values:
    """Return a bound that many times as far from the share, by log odds, which stay in (0, 1)."""
    a, b = (np.clip(one, 1e-9, 1 - 1e-9) for one in (share, bound))
    centre, reach = np.log(a / (1 - a)), np.log(b / (1 - b)) - np.log(a / (1 - a))
    return _sigmoid(centre + factor * reach)


def _of_unanimous(
    share: Values, low: Values, high: Values, widths: Values, n_units: int, level: float
) -> tuple[Values, Values]:
    """Return Wilson's interval for as many trials as units where all draws agree: none has width.

    That of an arm that was preferred always, or never.
    """
    reach = unanimous_reach(n_units, level)
    is_flat = (widths < reach / 10) & ((share < reach / 10) | (share > 1 - reach / 10))
    is_top = is_flat & (share > 0.5)
    is_bottom = is_flat & (share < 0.5)
    low = np.where(is_top, 1 - reach, np.where(is_bottom, 0.0, low))
    return low, np.where(is_top, 1.0, np.where(is_bottom, reach, high))


def _possible_ranks(
    is_above: NDArray[np.bool_], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the best and the worst rank of each arm within its group."""
    is_same = groups[:, None] == groups[None, :]
    above = is_above & is_same
    return 1 + above.sum(axis=0), is_same.sum(axis=0) - above.sum(axis=1)


def _sigmoid(x: Values) -> Values:
    from scipy.special import expit

    return np.asarray(expit(x))
