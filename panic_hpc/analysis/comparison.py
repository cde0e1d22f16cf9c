"""Which arm is better, and is the difference real? Networks of datasets, one measure, in pairs.

An arm is a network, of one dataset or of several. Runs pair with those of the baseline that have
the same prompt and seed; what has no partner is counted and left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.paired import PairedDifference, holm, paired_difference
from panic_hpc.analysis.estimators.vector_sets import is_enough_for_fid
from panic_hpc.analysis.measures import SETS, measure, set_measure, vectors_of
from panic_hpc.errors import AnalysisError, nearest

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

Pair = tuple[str, int]
"""The text of a prompt, and a seed."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Runs that are compared with others: those of one network of one dataset.

    name: the network's, behind its dataset's where there are several, before its noise where it was
        run with both.
    rows: the rows of its runs, by prompt and seed.
    """

    name: str
    dataset: "Dataset"
    rows: Mapping[Pair, int]

    @property
    def runs(self) -> NDArray[np.int64]:
        """The rows of its runs, in order."""
        return np.array(sorted(self.rows.values()), np.int64)


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


@dataclass(frozen=True, slots=True)
class SetResult:
    """How far an arm's set of outputs is from the baseline's; `n` vectors against `n_baseline`.

    `is_biased`: fewer than FID needs. `shares_prompts`: the sets depend on each other.
    """

    name: str
    value: float
    n: int
    n_baseline: int
    is_biased: bool
    shares_prompts: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All arms under one measure; one of `arms` and `sets` is empty."""

    measure: str
    baseline: str
    level: float
    arms: tuple[ArmResult, ...] = ()
    sets: tuple[SetResult, ...] = ()


def arms_of(datasets: Sequence["Dataset"]) -> list[Arm]:
    """Return the networks of datasets as arms; AnalysisError where there are fewer than two."""
    arms: list[Arm] = []
    for dataset in datasets:
        prompts, runs = dataset.prompt_texts(), dataset.runs()
        keys = zip(runs["prompt"].to_list(), runs["seed"].to_list(), strict=True)
        pairs = [(prompts[prompt], seed) for prompt, seed in keys]
        place = f"{dataset.path.parent.name or dataset.path.stem}: " if len(datasets) > 1 else ""
        for name, rows in _networks(dataset, runs["network"].to_numpy(), runs["noise"]):
            arms.append(Arm(f"{place}{name}", dataset, {pairs[row]: row for row in rows}))
    if len(arms) < 2:
        what = f"There is one network, {arms[0].name}" if arms else "There is no network"
        raise AnalysisError(f"{what}, and nothing to compare it with", hint="Name another dataset")
    return arms


def _networks(
    dataset: "Dataset", networks: NDArray[np.int64], noises: Iterable[object]
) -> Iterator[tuple[str, list[int]]]:
    """Yield (name, rows) of each network, once for each noise that it was run with."""
    noise = np.array([str(one) for one in noises])
    for network, name in enumerate(dataset.networks()["name"].to_list()):
        kinds = sorted(set(noise[networks == network].tolist()))
        for kind in kinds:
            rows = np.flatnonzero((networks == network) & (noise == kind)).tolist()
            yield f"{name} ({kind})" if len(kinds) > 1 else name, rows


def baseline_of(arms: Sequence[Arm], wanted: str) -> Arm:
    """Return the arm that a name, or a part of one that no other has, means; the first for ""."""
    if not wanted:
        return arms[0]
    names = [arm.name for arm in arms]
    found = [arm for arm in arms if arm.name == wanted] or [a for a in arms if wanted in a.name]
    if len(found) == 1:
        return found[0]
    told = f"{len(found)} arms are" if found else "no arm is"
    hint = nearest(wanted, names) or f"There are {', '.join(names[:12])}"
    raise AnalysisError(f"The baseline {wanted!r}: {told} called so", hint=hint)


def compare(
    arms: Sequence[Arm], baseline: Arm, name: str, *, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Return every arm under a measure, compared with the baseline; AnalysisError if unknown."""
    if wanted := set_measure(name):
        sets = tuple(_set_result(arm, baseline, *wanted) for arm in arms if arm is not baseline)
        return Comparison(name, baseline.name, level, sets=sets)
    datasets = list({id(arm.dataset): arm.dataset for arm in arms}.values())
    found = {id(dataset): measure(dataset, name) for dataset in datasets}
    values = {id(arm): _values(arm, found[id(arm.dataset)].values) for arm in arms}
    results = []
    for arm in arms:
        own, base = values[id(arm)], values[id(baseline)]
        shared = [pair for pair in own if pair in base]
        difference = None
        if arm is not baseline:
            gaps = [own[pair] - base[pair] for pair in shared]
            prompts = [prompt for prompt, _ in shared]
            difference = paired_difference(gaps, prompts, level=level, seed=seed)
        results.append(
            ArmResult(
                name=arm.name,
                mean=_mean(own),
                difference=difference,
                p_holm=float("nan"),
                n_runs=len(arm.rows),
                n_without=len(arm.rows) - len(own),
                n_unpaired=len(own) - len(shared),
                n_failed=int(found[id(arm.dataset)].n_failed[arm.runs].sum()),
            )
        )
    return Comparison(name, baseline.name, level, arms=_corrected(results))


def _corrected(results: Sequence[ArmResult]) -> tuple[ArmResult, ...]:
    p = [one.difference.p if one.difference else float("nan") for one in results]
    return tuple(
        replace(one, p_holm=float(value)) for one, value in zip(results, holm(p), strict=True)
    )


def _values(arm: Arm, values: NDArray[np.float64]) -> dict[Pair, float]:
    """Return the arm's finite values by prompt and seed."""
    return {pair: float(values[row]) for pair, row in arm.rows.items() if np.isfinite(values[row])}


def _mean(values: Mapping[Pair, float]) -> float:
    """Return the mean over prompts of the mean of a prompt's runs, nan of none."""
    by_prompt: dict[str, list[float]] = {}
    for (prompt, _), value in values.items():
        by_prompt.setdefault(prompt, []).append(value)
    return float(np.mean([np.mean(own) for own in by_prompt.values()])) if by_prompt else np.nan


def _set_result(arm: Arm, baseline: Arm, kind: str, model: str) -> SetResult:
    own = vectors_of(arm.dataset, model, arm.runs)
    base = vectors_of(baseline.dataset, model, baseline.runs)
    prompts, others = ({prompt for prompt, _ in one.rows} for one in (arm, baseline))
    return SetResult(
        name=arm.name,
        value=SETS[kind](own, base),
        n=len(own),
        n_baseline=len(base),
        is_biased=kind == "fid" and not is_enough_for_fid(min(len(own), len(base)), own.shape[1]),
        shares_prompts=bool(prompts & others),
    )
