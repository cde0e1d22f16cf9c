"""Crossed variance components: how much of an outcome's variance each part of the system has.

y = mean + sum over terms of a random effect of its level + residual of the run, for a scalar or a
vector outcome (of vectors the trace of the covariance, so that squared distances are what is
dealt out). Components are the solution of E[Q_f] = sum_g s_g |Z_f' M Z_g|^2 with Q_f = |Z_f' M y|^2
and M the centring: Rao's MINQUE(0) (Journal of Multivariate Analysis 1, 1971), which is the
analysis of variance where the design is balanced and needs no balance otherwise.

Intervals of a scalar outcome invert the distribution of the estimator itself: a bound is the value
of the component at which an estimate beyond the observed one has probability (1 - level) / 2 when
normal effects are drawn for the very design, the others being held at their estimates. So a
factor of four levels gets the wide, lopsided interval that three degrees of freedom deserve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from panic_hpc.analysis.estimators.variance.factors import Factor, Points, crossed, finite_rows
from panic_hpc.errors import AnalysisError

RESIDUAL = "residual"
DRAWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Component:
    """One term's variance, in squared units of the outcome.

    `omega2` is its share of the sum of all components, the intraclass correlation of the term:
    unbiased components make it so but for the ratio, unlike eta2; negative estimates stay negative.
    `p` is of the null that the component is 0. nan where it was not asked for.
    """

    term: str
    n_levels: int
    variance: float
    low: float
    high: float
    omega2: float
    omega2_low: float
    omega2_high: float
    p: float


@dataclass(frozen=True, slots=True)
class Components:
    """All terms, the residual last; `unresolved` names what this design cannot tell apart."""

    rows: tuple[Component, ...]
    n_runs: int
    dropped: int
    draws: int
    seed: int
    unresolved: Mapping[str, str]


class Design:
    """Which run has which level of each term, and what that lets one estimate."""

    def __init__(self, labels: Mapping[str, ArrayLike], terms: Sequence[str]) -> None:
        factors = crossed(labels, terms)
        self.n = len(factors[0].codes) if factors else 0
        self.unresolved = dict(_unresolved(factors))
        self.factors = [part for part in factors if part.name not in self.unresolved]
        residual = Factor(RESIDUAL, np.arange(self.n), tuple(range(self.n)))
        self.all = [*self.factors, residual]
        self.matrices = [part.indicator() for part in self.all]
        self.expected = _expected(self.matrices)
        self.inverse = np.linalg.pinv(self.expected, hermitian=True)

    @property
    def names(self) -> list[str]:
        """Terms that are estimated, the residual last."""
        return [part.name for part in self.all]

    def estimate(self, points: Points) -> NDArray[np.float64]:
        """Return the (terms,) components of (n, d) outcomes, summed over d."""
        centred = points - points.mean(axis=0)
        sums = [float(((part @ centred) ** 2).sum()) for part in self.matrices]
        return np.asarray(self.inverse @ sums)

    def drawn_forms(self, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (draws, terms, k, k): the estimates are s' F s for standard deviations s (k,).

        1. Draw standard normal effects for each term.
        2. Z_f' M Z_g u_g is what a term g adds to the sums over f's levels.
        3. Their inner products are the quadratic forms, to which the inverse is applied once.
        """
        k = len(self.all)
        forms = np.zeros((draws, k, k, k))
        for start in range(0, draws, DRAWS_AT_ONCE):
            count = min(DRAWS_AT_ONCE, draws - start)
            moved = [
                _centred(part.T @ rng.standard_normal((part.shape[0], count)))
                for part in self.matrices
            ]
            for f, matrix in enumerate(self.matrices):
                sums = np.stack([np.asarray(matrix @ part) for part in moved])
                forms[start : start + count, f] = np.einsum(
                    "gld,hld->dgh", sums, sums, optimize=True
                )
        return np.asarray(np.einsum("ef,dfgh->degh", self.inverse, forms, optimize=True))


def _centred(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(columns - columns.mean(axis=0))


def _unresolved(factors: Sequence[Factor]) -> list[tuple[str, str]]:
    """Return the terms that cannot be estimated, each with the reason."""
    found: list[tuple[str, str]] = []
    partitions: dict[bytes, str] = {}
    for part in factors:
        key = _partition(part)
        if part.n_levels < 2:
            found.append((part.name, "it has one level only"))
        elif part.n_levels == len(part.codes):
            found.append((part.name, "each level has one run: the residual is the same thing"))
        elif key in partitions:
            found.append((part.name, f"its levels are those of {partitions[key]}"))
        partitions.setdefault(key, part.name)
    return found


def _partition(part: Factor) -> bytes:
    """Return the same bytes for the same partition of runs, whatever the names of its levels."""
    first, inverse = np.unique(part.codes, return_index=True, return_inverse=True)[1:]
    return np.asarray(first[inverse].astype(np.int64)).tobytes()


def _expected(matrices: Sequence[sparse.csr_matrix]) -> NDArray[np.float64]:
    """Return |Z_f' M Z_g|^2 for all pairs of terms, of the counts alone."""
    n = matrices[0].shape[1]
    counts = [np.asarray(part.sum(axis=1)).ravel() for part in matrices]
    found = np.empty((len(matrices), len(matrices)))
    for f, a in enumerate(matrices):
        for g, b in enumerate(matrices):
            table = a @ b.T
            mixed = counts[f] @ (table @ counts[g])
            found[f, g] = (
                table.power(2).sum()
                - 2 * mixed / n
                + (counts[f] @ counts[f]) * (counts[g] @ counts[g]) / n**2
            )
    return found


def variance_components(
    outcome: ArrayLike,
    labels: Mapping[str, ArrayLike],
    terms: Sequence[str],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Components:
    """Deal the variance of an outcome out to crossed random effects, with intervals.

    Args:
        outcome: (n,) one number a run, or (n, d) one vector a run (then without intervals: their
            distribution depends on the whole covariance). A run is a row: average its steps first.
            Rows that are not finite are left out and counted.
        labels: by name, (n,) labels of the runs.
        terms: names of labels; "prompt:network" is their interaction.
        level: of the intervals.
        draws: of the estimator's distribution.
        seed: of these.

    Raises:
        AnalysisError: no term can be estimated, and why.
    """
    points, kept = finite_rows(outcome)
    design = Design({k: np.asarray(v)[kept] for k, v in labels.items()}, terms)
    if not design.factors:
        reasons = "; ".join(f"{term}: {why}" for term, why in design.unresolved.items())
        raise AnalysisError(f"no term can be estimated ({reasons})")
    estimates = design.estimate(points)
    if points.shape[1] == 1:
        forms = design.drawn_forms(draws, np.random.default_rng(seed))
        ends = bounds(forms, estimates, level)
    else:
        ends = np.full((len(estimates), 5), np.nan)
    total = float(estimates.sum())
    rows = tuple(
        Component(part.name, part.n_levels, s, low, high, _share(s, total), least, most, p)
        for part, s, (low, high, least, most, p) in zip(
            design.all, estimates.tolist(), ends.tolist(), strict=True
        )
    )
    return Components(rows, design.n, int((~kept).sum()), draws, seed, design.unresolved)


def _share(part: float, total: float) -> float:
    return float(part / total) if total > 0 else float("nan")


def bounds(
    forms: NDArray[np.float64], estimates: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Return (terms, 5): bounds of each component, bounds of its share, p of its absence.

    `forms` are a design's drawn forms, which serve any outcome of that design.
    """
    held, total = np.maximum(estimates, 0.0), float(estimates.sum())
    tails = ((1 - level) / 2, (1 + level) / 2)
    found = np.full((len(held), 5), np.nan)
    if total <= 0:
        return found
    for f, estimate in enumerate(estimates.tolist()):
        model = _Varied(forms, held, f)
        p = model.absence(estimates)
        ends = [model.solve(estimate, target, share=False) for target in tails]
        shares = [model.solve(estimate / total, target, share=True) for target in tails]
        if p > tails[0]:
            ends[0] = shares[0] = 0.0
        rest = float(held.sum() - held[f])
        found[f] = *ends, *(_share(end, end + rest) for end in shares), p
    return found


class _Varied:
    """The distribution of one term's estimate as its true variance varies, the others held."""

    def __init__(self, forms: NDArray[np.float64], held: NDArray[np.float64], f: int) -> None:
        others = np.sqrt(held)
        others[f] = 0.0
        # Estimates are quadratic in the standard deviation of the term: three numbers a draw.
        self.constant = np.einsum("degh,g,h->de", forms, others, others, optimize=True)
        self.linear = 2 * np.einsum("deg,g->de", forms[:, :, f], others, optimize=True)
        self.square = forms[:, :, f, f]
        self.variances = forms[:, f].var(axis=0)
        self.f, self.scale = f, float(held.sum())

    def absence(self, estimates: NDArray[np.float64]) -> float:
        """Return p of the null that the term's component is 0.

        The estimate is compared in units of its own standard error, each draw's of the components
        that the draw itself estimates: with an interaction of few degrees of freedom held at its
        estimate, one test in seven would reject.
        """
        drawn = self._studentised(self.constant)
        seen = self._studentised(estimates[None])[0]
        return float((1 + (drawn >= seen).sum()) / (1 + len(drawn)))

    def _studentised(self, estimates: NDArray[np.float64]) -> NDArray[np.float64]:
        others = np.maximum(estimates, 0.0)
        others[:, self.f] = 0.0
        error = np.sqrt(np.einsum("dg,gh,dh->d", others, self.variances, others))
        return np.asarray(estimates[:, self.f] / np.maximum(error, 1e-12 * self.scale))

    def exceedance(self, variance: float, seen: float, *, share: bool) -> float:
        """Return how often the estimate, or its share, is at least `seen`."""
        s = np.sqrt(variance)
        columns = slice(None) if share else slice(self.f, self.f + 1)
        found = self.constant[:, columns] + s * self.linear[:, columns]
        found += variance * self.square[:, columns]
        if not share:
            return float(np.mean(found >= seen))
        total = found.sum(axis=1)
        return float(np.mean(found[:, self.f] >= seen * np.maximum(total, 0.0)))

    def solve(self, seen: float, target: float, *, share: bool) -> float:
        """Return the variance at which `seen` is exceeded with probability `target`, at least 0."""
        if self.exceedance(0.0, seen, share=share) >= target:
            return 0.0
        low, high = 0.0, self.scale
        # A bound of a term of two levels is some thousand times its estimate.
        while self.exceedance(high, seen, share=share) < target and high < 1e8 * self.scale:
            low, high = high, high * 4
        for _ in range(30):
            middle = (low + high) / 2
            below = self.exceedance(middle, seen, share=share) < target
            low, high = (middle, high) if below else (low, middle)
        return (low + high) / 2
