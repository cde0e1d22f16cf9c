"""What makes runs settle, or leave, sooner: networks and prompts, with censoring."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.base import AnalysisSettings
from panic_hpc.analysis.estimators.survival.hazards import hazard_ratios, log_rank_scores
from panic_hpc.analysis.estimators.variance.permutations import compare_groups
from panic_hpc.analysis.findings import Findings, finite
from panic_hpc.analysis.results import HypothesisTest, Quantity, ResultTable, Statement
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import words_of

_COLUMNS = (
    Quantity("term", "a network, or what is known of the prompt", ""),
    Quantity("by", "what it is compared with", ""),
    Quantity("ratio", "of hazards (Cox): above 1 it ends sooner"),
    Quantity("low", "lower bound of it, over prompts; null: one prompt decides"),
    Quantity("high", "upper bound of it"),
)
_MEAN = "geometric mean of networks"


@dataclass(frozen=True, slots=True)
class Endings:
    """What was watched until it ended, or until watching stopped: (n,) each, one at least.

    runs       row of the run that each is of; a run may have several
    durations  states
    has_ended  whether it ended then
    what       runs do when it ends: "settle", "leave"
    """

    runs: NDArray[np.int64]
    durations: NDArray[np.float64]
    has_ended: NDArray[np.bool_]
    what: str

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, bool]], what: str) -> "Endings":
        """Take rows of run, states, and whether it ended."""
        runs, durations, has_ended = zip(*rows, strict=True)
        return cls(np.array(runs), np.array(durations, float), np.array(has_ended), what)


def hazards(
    trajectories: TrajectorySet, endings: Endings, settings: AnalysisSettings, gathered: Findings
) -> ResultTable:
    """Say whether networks and prompts decide when runs do something, and give ratios of hazards.

    `gathered` gets the tests, a sentence, and what could not be done.
    """
    what, told = endings.what, []
    labels = trajectories.labels.select(endings.runs)
    for label, strata in (("network", labels.prompt), ("prompt", labels.network)):
        with gathered.part(f"whether {label}s decide when runs {what}"):
            p = _tested(label, getattr(labels, label), strata, endings, settings, gathered)
            verb = "matter" if p < 1 - settings.level else "do not matter beyond chance"
            told.append(f"{label}s {verb} (p {p:.3g})")
    if told:
        gathered.statements.append(
            Statement(f"when runs {what}", f"To when runs {what} {', '.join(told)}")
        )
    rows: list[tuple[object, ...]] = []
    with gathered.part(f"hazard ratios of runs that {what}"):
        rows += _ratios(trajectories, endings, settings.level, gathered)
    return ResultTable.of_rows("hazards", "network or property of prompts", _COLUMNS, rows)


def _tested(
    label: str,
    groups: NDArray[np.str_],
    strata: NDArray[np.str_],
    endings: Endings,
    settings: AnalysisSettings,
    gathered: Findings,
) -> float:
    """Return the p that a label does not matter: whole runs are exchanged within strata."""
    scores = log_rank_scores(endings.durations, endings.has_ended)
    test = compare_groups(
        scores, groups, units=endings.runs, strata=strata, permutations=settings.draws,
        seed=settings.seed,
    ).f2  # fmt: skip
    null = f"to when runs {endings.what} their {label} does not matter (log-rank scores)"
    gathered.tests.append(
        HypothesisTest(
            f"when runs {endings.what}", f"{label}s", null, test.statistic, test.p, test.n_units,
            "runs", test.permutations,
        )
    )  # fmt: skip
    return test.p


def _ratios(
    trajectories: TrajectorySet, endings: Endings, level: float, gathered: Findings
) -> list[tuple[object, ...]]:
    labels = trajectories.labels.select(endings.runs)
    told = np.ones(len(labels), bool)
    for name in np.unique(labels.network).tolist():
        own = labels.network == name
        if len(set(labels.prompt[own & endings.has_ended].tolist())) < 2:
            gathered.lack(f"hazard ratio of networks in which runs {endings.what}",
                          "runs of fewer than two prompts do", name)  # fmt: skip
            told &= ~own
    if not told.any():
        raise AnalysisError(f"in no network do runs of two prompts {endings.what}")
    covariates = {name: one[told] for name, one in _of_prompts(trajectories, endings.runs).items()}
    ratios = hazard_ratios(
        endings.durations[told], endings.has_ended[told], labels.network[told],
        {name: one for name, one in covariates.items() if np.ptp(one) > 0},
        labels.prompt[told], level,
    )  # fmt: skip
    return [
        (one.term, _BY.get(one.term, _MEAN), one.ratio, finite(one.low), finite(one.high))
        for one in ratios
    ]


_WORDS, _ODDNESS = "words of the prompt", "oddness of the prompt"
_BY = {_WORDS: "half as many", _ODDNESS: "a standard deviation nearer to the mean of prompts"}


def _of_prompts(
    trajectories: TrajectorySet, runs: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return what is known of each run's prompt before it is run: (n,) finite numbers."""
    counts = [max(1, len(words_of(text))) for text in trajectories.labels.prompt[runs].tolist()]
    known = {_WORDS: np.log2(counts)}
    if trajectories.prompts is not None:
        vectors = unit_rows(trajectories.prompts[runs]).astype(np.float64)
        away = np.linalg.norm(vectors - np.nanmean(vectors, axis=0), axis=1)
        if np.isfinite(away).all() and away.std() > 1e-9:
            known[_ODDNESS] = away / away.std()
    return known
