"""Which arm is better, and is the difference real? Networks of datasets, one measure, in pairs.

Runs pair with those of the baseline that have the same prompt and seed; what has no partner is
counted and left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.comparing.arms import Arm, Pair
from panic_hpc.analysis.comparing.measures import (
    SETS,
    MoreMeasures,
    TwinDistances,
    measure,
    no_more,
    set_measure,
    twin_distances,
    twin_measure,
    vectors_of,
)
from panic_hpc.analysis.estimators.paired import PairedDifference, holm, paired_difference
from panic_hpc.analysis.estimators.vector_sets import is_enough_for_fid


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm under one measure.

    mean: over prompts of the mean of a prompt's runs.
    difference: from the baseline; None for the baseline itself.
    p_holm: the difference's p-value, corrected for all arms; nan where there is none.
    n_runs, n_without: its runs, and those of them that have no finite value.
    n_unpaired: runs with a value that have no partner with one.
    n_failed: items of its runs that the metric failed on.
    """

    name: str
    mean: float
    difference: PairedDifference | None
    p_holm: float
    n_runs: int
    n_without: int
    n_unpaired: int
    n_failed: int

    @property
    def note(self) -> str:
        """What must be known of it beside its numbers, "" for nothing."""
        gap = self.difference
        parts = [f"no interval: {gap.why}"] if gap and gap.why else []
        parts += [f"{self.n_without} of {self.n_runs} runs have no value"] if self.n_without else []
        parts += [f"{self.n_unpaired} runs have no partner"] if self.n_unpaired and gap else []
        parts += [f"{self.n_failed} items failed"] if self.n_failed else []
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class SetResult:
    """How far an arm's set of outputs is from the baseline's; `n` vectors against `n_baseline`.

    `is_biased`: fewer than FID needs. `shares_prompts`: the sets depend on each other;
    `is_between_prompts`: which is allowed for, since only pairs of different prompts are counted.
    """

    name: str
    value: float
    n: int
    n_baseline: int
    is_biased: bool
    shares_prompts: bool
    is_between_prompts: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All arms under one measure; one of `arms` and `sets` is empty."""

    measure: str
    baseline: str
    level: float
    arms: tuple[ArmResult, ...] = ()
    sets: tuple[SetResult, ...] = ()


def compare(
    arms: Sequence[Arm],
    baseline: Arm,
    name: str,
    *,
    level: float = 0.95,
    seed: int = 0,
    more: MoreMeasures = no_more,
    distances: TwinDistances = twin_distances,
) -> Comparison:
    """Return every arm under a measure, compared with the baseline; AnalysisError if unknown.

    `more` gives measures that are not in the dataset, such as votes on it, or were read before, as
    `distances` may have been.
    """
    if wanted := set_measure(name):
        sets = tuple(_set_result(arm, baseline, *wanted) for arm in arms if arm is not baseline)
        return Comparison(name, baseline.name, level, sets=sets)
    # A distance from twins is never below 0, so that flipping its sign says nothing.
    is_distance = twin_measure(name) is not None
    found = (
        _from_twins(arms, baseline, name, distances) if is_distance else _measured(arms, name, more)
    )
    results = []
    for arm in arms:
        own, base = found[id(arm)].values, found[id(baseline)].values
        shared = [pair for pair in own if pair in base]
        difference = None
        if arm is not baseline:
            gaps = [own[pair] - base[pair] for pair in shared]
            prompts = [pair.prompt for pair in shared]
            difference = paired_difference(gaps, prompts, level=level, seed=seed)
            difference = replace(difference, p=np.nan) if is_distance else difference
        results.append(
            ArmResult(
                name=arm.name,
                mean=_mean(own),
                difference=difference,
                p_holm=float("nan"),
                n_runs=len(arm.rows),
                n_without=len(arm.rows) - len(own),
                n_unpaired=len(own) - len(shared),
                n_failed=found[id(arm)].n_failed,
            )
        )
    return Comparison(name, baseline.name, level, arms=_corrected(results))


def _corrected(results: Sequence[ArmResult]) -> tuple[ArmResult, ...]:
    p = [one.difference.p if one.difference else float("nan") for one in results]
    return tuple(
        replace(one, p_holm=float(value)) for one, value in zip(results, holm(p), strict=True)
    )


class _MeasuredArm(NamedTuple):
    """Finite values of an arm by prompt and seed, and how many items of its runs failed."""

    values: dict[Pair, float]
    n_failed: int = 0


def _measured(arms: Sequence[Arm], name: str, more: MoreMeasures) -> dict[int, _MeasuredArm]:
    """Return what arms have under a measure, by identity."""
    datasets = list({id(arm.dataset): arm.dataset for arm in arms}.values())
    found = {id(one): more(one, name) or measure(one, name) for one in datasets}
    return {
        id(arm): _MeasuredArm(
            _values(arm, found[id(arm.dataset)].values),
            int(found[id(arm.dataset)].n_failed[arm.runs].sum()),
        )
        for arm in arms
    }


def _from_twins(
    arms: Sequence[Arm], baseline: Arm, name: str, distances: TwinDistances
) -> dict[int, _MeasuredArm]:
    """Return how far runs of arms are from the baseline's, by identity; its own are at 0."""
    found = {}
    for arm in arms:
        shared = [pair for pair in arm.rows if pair in baseline.rows]
        own = [(arm.dataset, arm.rows[pair]) for pair in shared]
        twins = [(baseline.dataset, baseline.rows[pair]) for pair in shared]
        gaps = distances(own, twins, name).tolist()
        values = {pair: gap for pair, gap in zip(shared, gaps, strict=True) if np.isfinite(gap)}
        found[id(arm)] = _MeasuredArm(dict.fromkeys(values, 0.0) if arm is baseline else values)
    return found


def _values(arm: Arm, values: NDArray[np.float64]) -> dict[Pair, float]:
    """Return the arm's finite values by prompt and seed."""
    return {pair: float(values[row]) for pair, row in arm.rows.items() if np.isfinite(values[row])}


def _mean(values: Mapping[Pair, float]) -> float:
    """Return the mean over prompts of the mean of a prompt's runs, nan of none."""
    by_prompt: dict[str, list[float]] = {}
    for pair, value in values.items():
        by_prompt.setdefault(pair.prompt, []).append(value)
    return float(np.mean([np.mean(own) for own in by_prompt.values()])) if by_prompt else np.nan


def _set_result(arm: Arm, baseline: Arm, kind: str, model: str) -> SetResult:
    own, prompts = _vectors_and_prompts(arm, model)
    base, others = _vectors_and_prompts(baseline, model)
    shares = bool({*prompts} & {*others})
    # Of one prompt alone there is no pair of two, and nothing that could be left out.
    is_between = kind == "kid" and shares and min(len({*prompts}), len({*others})) > 1
    labels = [(prompts, others)] if is_between else []
    return SetResult(
        name=arm.name,
        value=SETS[kind](own, base, *labels),
        n=len(own),
        n_baseline=len(base),
        is_biased=kind == "fid" and not is_enough_for_fid(min(len(own), len(base)), own.shape[1]),
        shares_prompts=shares,
        is_between_prompts=is_between,
    )


def _vectors_and_prompts(arm: Arm, model: str) -> tuple[NDArray[np.float64], list[str]]:
    vectors, runs = vectors_of(arm.dataset, model, arm.runs)
    prompt_of = {row: pair.prompt for pair, row in arm.rows.items()}
    return vectors, [prompt_of[row] for row in runs.tolist()]
