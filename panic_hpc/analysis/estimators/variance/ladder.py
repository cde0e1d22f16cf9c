"""The swap ladder: how much farther apart runs are when exactly one thing differs.

Mean cosine distances between runs of one step, over all pairs that agree in some labels and differ
in all others: pairs of twins (all alike but the run), of runs whose generator alone differs, of
strangers. Exact over all pairs without forming any: the pairs that agree at least in the labels A
have the sum of inner products sum over groups of |sum of vectors|^2, and exact agreement follows by
inclusion and exclusion. Sums are kept by pair of prompts, so that intervals can leave out whole
prompts, which are the independent units.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from panic_hpc.analysis.estimators import student
from panic_hpc.analysis.estimators.variance.factors import Factor, cross, factor
from panic_hpc.errors import AnalysisError

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rung:
    """Pairs of runs that differ in `differs`, and in nothing else but the run itself.

    `distance` and `extra`, the distance beyond that of twins, are cosine distances (1 - cosine, 0
    to 2); bounds leave out whole prompts (jackknife, Student's t); nan where there are no pairs.
    """

    differs: tuple[str, ...]
    distance: float
    low: float
    high: float
    extra: float
    extra_low: float
    extra_high: float
    pairs: int
    """Pairs of runs at one step, summed over the steps."""


@dataclass(frozen=True, slots=True)
class PairSums:
    """By exact set of labels that differ: (prompts, prompts) sums of cosines, and counts of pairs.

    On the diagonal both runs have one prompt. Pairs are counted once each way.
    """

    cosines: Mapping[frozenset[str], Matrix]
    counts: Mapping[frozenset[str], Matrix]


def pair_sums(
    vectors: NDArray[np.floating],
    labels: Mapping[str, ArrayLike],
    unit: str = "prompt",
    centred_by: str | None = None,
) -> PairSums:
    """Sum cosines over pairs of runs by which labels differ.

    Args:
        vectors: (runs, d) at one step, or (runs, steps, d) at matched steps, may be a memory map:
            one step at a time is held; a run's steps that are not finite everywhere are left out.
        labels: (runs,) each; pairs of a run with itself never count.
        unit: the label of independent units.
        centred_by: a label whose levels' mean vector is taken out first.
    """
    names = [name for name in labels if name != unit]
    others = {name: factor(name, labels[name]) for name in names}
    prompts = factor(unit, labels[unit])
    table = vectors if vectors.ndim == 3 else np.asarray(vectors)[:, None]
    part = None if centred_by is None else factor(centred_by, labels[centred_by])
    agree = {
        frozenset(kept): _Agreeing(prompts, [others[name] for name in kept])
        for size in range(len(names) + 1)
        for kept in combinations(names, size)
    }
    alone = np.zeros(prompts.n_levels)
    for states in _steps(table, part):
        directions, there = _directions(states)
        for sums in agree.values():
            sums.add(directions, there)
        alone += np.bincount(prompts.codes, there, minlength=prompts.n_levels)
    exact = {
        frozenset(names) - kept: _exactly(agree, kept, frozenset(names), np.diag(alone))
        for kept in agree
    }
    return PairSums(
        {differs: found[0] for differs, found in exact.items()},
        {differs: found[1] for differs, found in exact.items()},
    )


def _steps(table: NDArray[np.floating], part: Factor | None) -> Iterator[Matrix]:
    """Yield (runs, d) states step by step, less the mean of their level over runs and steps."""
    n_steps = table.shape[1]
    if part is None:
        yield from (np.asarray(table[:, step], np.float64) for step in range(n_steps))
        return
    sums = np.zeros((part.n_levels, table.shape[2]))
    counts = np.zeros(part.n_levels)
    indicator = part.indicator()
    for step in range(n_steps):
        states = np.asarray(table[:, step], np.float64)
        there = np.asarray(np.isfinite(states).all(axis=1))
        sums += indicator @ np.where(there[:, None], states, 0.0)
        counts += indicator @ there.astype(np.float64)
    centres = sums / np.maximum(counts, 1)[:, None]
    for step in range(n_steps):
        yield np.asarray(table[:, step], np.float64) - centres[part.codes]


def _directions(vectors: Matrix) -> tuple[Matrix, Matrix]:
    """Return unit vectors, and 1 for each run that has one, 0 for others."""
    lengths = np.linalg.norm(vectors, axis=1)
    there = np.isfinite(lengths) & (lengths > 0)
    scaled = vectors / np.where(there, lengths, 1.0)[:, None]
    return np.where(there[:, None], scaled, 0.0), there.astype(np.float64)


class _Agreeing:
    """By pair of prompts, the cosines and counts of pairs that agree at least in some labels."""

    def __init__(self, prompts: Factor, kept: Sequence[Factor]) -> None:
        n = len(prompts.codes)
        group = cross("", kept) if kept else factor("", np.zeros(n))
        rows = prompts.codes * group.n_levels + group.codes
        shape = (prompts.n_levels * group.n_levels, n)
        self.n_prompts = prompts.n_levels
        self.picks = sparse.csr_matrix((np.ones(n), (rows, np.arange(n))), shape=shape)
        self.cosines = np.zeros((prompts.n_levels, prompts.n_levels))
        self.counts = np.zeros_like(self.cosines)

    def add(self, directions: Matrix, there: Matrix) -> None:
        """Add the pairs of one step."""
        by_prompt = np.asarray(self.picks @ directions).reshape(self.n_prompts, -1)
        numbers = np.asarray(self.picks @ there).reshape(self.n_prompts, -1)
        self.cosines += by_prompt @ by_prompt.T
        self.counts += numbers @ numbers.T


def _exactly(
    agree: Mapping[frozenset[str], _Agreeing],
    kept: frozenset[str],
    names: frozenset[str],
    alone: Matrix,
) -> tuple[Matrix, Matrix]:
    """Return pairs that agree in `kept` and differ in all other names."""
    above = [other for other in agree if other >= kept]
    signs = [(-1) ** (len(other) - len(kept)) for other in above]
    cosines = sum(sign * agree[other].cosines for sign, other in zip(signs, above, strict=True))
    counts = sum(sign * agree[other].counts for sign, other in zip(signs, above, strict=True))
    # A run has a cosine of 1 with itself.
    own = alone if kept == names else np.zeros_like(alone)
    return np.asarray(cosines - own), np.rint(counts - own)


def swap_ladder(
    vectors: NDArray[np.floating],
    labels: Mapping[str, ArrayLike],
    *,
    unit: str = "prompt",
    noise: str | None = None,
    centred_by: str | None = None,
    level: float = 0.95,
) -> list[Rung]:
    """Return the rungs: twins, one label different each, and strangers with all of them different.

    Args:
        vectors: (runs, d) or (runs, steps, d); pairs are of one step.
        labels: (runs,) each, `unit` among them.
        unit: the label of independent units, left out one at a time.
        noise: a label of the noise that runs share (the seed, where noise is the same for all
            prompts): pairs on every rung then differ in it, so that rungs are comparable.
        centred_by: a label whose levels' mean direction is taken out first (a captioner's style).
        level: of the intervals.

    Raises:
        AnalysisError: no two runs are twins, or there is one prompt.
    """
    sums = pair_sums(vectors, labels, unit, centred_by)
    swapped = [name for name in labels if name not in (unit, noise)]
    base = frozenset({noise} if noise else ())
    n_units = len(next(iter(sums.counts.values())))
    if np.trace(sums.counts[base]) == 0:
        raise AnalysisError("no two runs differ in nothing but the run: the ladder has no foot")
    if n_units < 2:
        raise AnalysisError(f"one {unit} only: no interval, and no strangers")
    rungs: list[tuple[tuple[str, ...], frozenset[str], bool]] = [((), base, True)]
    rungs += [((name,), base | {name}, True) for name in swapped]
    rungs += [((unit,), base, False), ((unit, *swapped), base | set(swapped), False)]
    twins = left_out(sums, base, same=True)
    return [_rung(names, sums, differs, same, twins, level) for names, differs, same in rungs]


def left_out(sums: PairSums, differs: frozenset[str], *, same: bool) -> Matrix:
    """Return the mean distance over all units, then with each unit left out."""
    cosines, counts = sums.cosines[differs], sums.counts[differs]
    keep = np.eye(len(counts)) if same else 1 - np.eye(len(counts))
    cosines, counts = cosines * keep, counts * keep

    def without(matrix: Matrix) -> Matrix:
        involved = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
        return np.concatenate([[matrix.sum()], matrix.sum() - involved])

    above, below = without(cosines), without(counts)
    return np.where(below > 0.5, 1 - above / np.where(below > 0.5, below, 1), np.nan)


def _rung(
    names: tuple[str, ...],
    sums: PairSums,
    differs: frozenset[str],
    same: bool,
    twins: Matrix,
    level: float,
) -> Rung:
    found = left_out(sums, differs, same=same)
    counts = sums.counts[differs]
    pairs = np.trace(counts) if same else counts.sum() - np.trace(counts)
    return Rung(
        names,
        *jackknife_interval(found, level),
        *jackknife_interval(found - twins, level),
        pairs=int(pairs) // 2,
    )


def jackknife_interval(values: Matrix, level: float = 0.95) -> tuple[float, float, float]:
    """Return an estimate and its bounds from (1 + n,) values: of all, then without each unit.

    Units whose absence leaves nothing to measure make the bounds nan.
    """
    estimate, n = float(values[0]), len(values) - 1
    if n < 2:
        return estimate, float("nan"), float("nan")
    reach = student.reach(jackknife_error(values), level, n - 1)
    return estimate, estimate - reach, estimate + reach


def jackknife_error(values: Matrix) -> float:
    """Return the standard error of an estimate from (1 + n,) values, as `jackknife_interval` does.

    nan of units whose absence leaves nothing to measure.
    """
    left = values[1:]
    n = len(left)
    if not np.isfinite(left).all():
        return float("nan")
    return float(np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum()))
