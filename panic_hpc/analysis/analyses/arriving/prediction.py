"""Prediction: how soon, and how well, it can be told where a run ends."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import about
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import mean_interval
from panic_hpc.analysis.estimators.prediction.ends import (
    PredictedEnds,
    conformal_radius,
    nearest_region,
    predict_ends,
    radius_coverage,
    regions_of,
)
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement, refused
from panic_hpc.analysis.samples import mean_directions, share_of, time_grid
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of, unit_rows
from panic_hpc.errors import AnalysisError

Table = NDArray[np.float64]

_SKILL = (
    Quantity("states", "first states of a run that are known; 0: its prompt alone", "states"),
    Quantity("against", "baseline", ""),
    Quantity("skill", "skill over the baseline, 1 less the ratio of squared errors"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("prompts", "independent units, held out as wholes", "prompts"),
    Quantity("runs", "runs that are long enough", "runs"),
)
_REACH = (
    Quantity("states", "first states of a run that are known; 0: its prompt alone", "states"),
    Quantity("radius", "what a run of another prompt ends within, null: too few prompts",
             "cosine distance"),
    Quantity("level", "how often it should"),
    Quantity("covered", "how often runs of a prompt do, by the radius of the others; null: none"),
    Quantity("region", "runs whose region of the end is predicted"),
    Quantity("region_stays", "runs that are in that region already"),
    Quantity("region_usual", "runs that end in the region of their network's mean end"),
    Quantity("region_gain", "predicted, less those that the better of these two tells"),
    Quantity("region_gain_low", "lower bound of it, over prompts"),
    Quantity("region_gain_high", "upper bound of it"),
)  # fmt: skip
_TRANSFER = (
    Quantity("states", "first states of a run that are known; 0: its prompt alone", "states"),
    Quantity("network", "that no prediction was trained on; empty: all, each held out in turn", ""),
    Quantity("skill", "skill over the better of: stays where it is, mean of the other networks"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("prompts", "independent units, held out as wholes too", "prompts"),
    Quantity("runs", "runs that are long enough", "runs"),
)
_STAYS, _USUAL = "stays where it is", "mean of the network"
_END = (0.9, 1.0)


class PredictionSettings(AnalysisSettings):
    """What the analysis can be told.

    most_runs  that are looked at, evenly spaced
    most_ks    numbers of first states that are tried: 0, 1, 2, 4 … and a tenth of a run
    regions    that ends are put into (k-means of all ends)
    folds      of prompts
    """

    most_runs: int = Field(default=2000, ge=8)
    most_ks: int = Field(default=10, ge=1)
    regions: int = Field(default=8, ge=2)
    folds: int = Field(default=10, ge=2)


def analyse_prediction(trajectories: TrajectorySet, settings: PredictionSettings) -> AnalysisResult:
    """Predict the last tenth of each run from its prompt and its first states."""
    gathered = Findings()
    there = trajectories.select(trajectories.lengths > 1)
    if there.n_runs == 0:
        return refused("prediction", "no run has two states: nothing lies between start and end")
    own = there.select(time_grid(there.n_runs, settings.most_runs))
    if own.n_runs < there.n_runs:
        gathered.lack("prediction of all runs", f"{own.n_runs} of {there.n_runs} are looked at")
    ends, skills, reach = mean_directions(own, *_END), [], []
    transfer: list[tuple[object, ...]] = []
    tenth = max(1, int(np.median(own.lengths)) // 10)
    with gathered.part("prediction"):
        centres = regions_of(ends, settings.regions, settings.seed)
        for k in _numbers_of_states(own, tenth, settings.most_ks):
            with gathered.part(f"prediction from {_known(k)}"):
                made = _predict(own, ends, k, settings)
                rows = _skills(made, k, settings.level)
                skills += rows
                reach.append(_reached(made, centres, k, settings, gathered))
                if k in (0, tenth):
                    _say(k, rows, made, gathered, settings.level)
            if k in (0, tenth):
                with gathered.part(f"prediction of other networks from {_known(k)}"):
                    made = _predict(own, ends, k, settings, other_networks=True)
                    transfer += _transferred(own, made, k, settings.level, gathered)
    tables = [
        ResultTable.of_rows("skill", "number of known states and baseline", _SKILL, skills),
        ResultTable.of_rows("transfer", "number of known states and network", _TRANSFER, transfer),
        ResultTable.of_rows("reach", "number of known states", _REACH, reach),
    ]
    return gathered.result(tables, units_of(own.labels))


def _known(k: int) -> str:
    return "the prompt alone" if k == 0 else f"{k} state{'s' if k > 1 else ''} and the prompt"


def _numbers_of_states(own: TrajectorySet, tenth: int, most: int) -> list[int]:
    """Return how many first states are tried: powers of 2 before the end of a usual run begins."""
    before_end = share_of(int(np.median(own.lengths)), *_END)[0]
    powers = [2**e for e in range(31) if 2**e <= max(1, before_end)]
    return sorted({0, tenth, *powers[-(most - 2) :]} if most > 2 else {tenth})


def _predict(
    own: TrajectorySet,
    ends: Table,
    k: int,
    settings: PredictionSettings,
    *,
    other_networks: bool = False,
) -> PredictedEnds:
    asked = None if own.prompts is None else np.asarray(unit_rows(own.prompts), np.float64)
    if asked is not None and not np.isfinite(asked).any():
        asked = None
    if k == 0 and asked is None:
        raise AnalysisError("prompts were not embedded by this model")
    recent = _recent(own, k) if k else asked
    assert recent is not None
    # A state that is part of the end would tell of itself.
    starts = np.array([share_of(int(length), *_END)[0] for length in own.lengths])
    recent = np.where((starts >= k)[:, None], recent, np.nan)
    return predict_ends(
        ends, recent, asked if k else None, own.labels.network, own.labels.prompt,
        folds=settings.folds, seed=settings.seed, other_networks=other_networks,
    )  # fmt: skip


def _recent(own: TrajectorySet, k: int) -> Table:
    """Return (runs, D) the mean direction of the second half of the first k states."""
    means = np.full((own.n_runs, own.n_dimensions), np.nan)
    for run in np.flatnonzero(own.lengths >= k).tolist():
        states = unit_rows(own.of_run(run)[k // 2 : k])
        states = states[np.isfinite(states).all(axis=1)]
        if len(states):
            means[run] = states.mean(axis=0, dtype=np.float64)
    return means


def _skills(made: PredictedEnds, k: int, level: float) -> list[tuple[object, ...]]:
    counts = (int(made.prompts.max()) + 1, len(made.prompts))
    baselines = {_STAYS: made.stays, _USUAL: made.usual}
    found = [(name, made.skill(one, level)) for name, one in baselines.items()]
    if not np.isfinite([skill[0] for _, skill in found]).all():
        raise AnalysisError("a baseline makes no error: there is nothing to predict")
    return [(k, name, *map(finite, skill), *counts) for name, skill in found]


def _reached(
    made: PredictedEnds,
    centres: Table,
    k: int,
    settings: PredictionSettings,
    gathered: Findings,
) -> tuple[object, ...]:
    distances = made.distances()
    radius = conformal_radius(distances, made.prompts, settings.level)
    covered = radius_coverage(distances, made.prompts, settings.level)
    if not np.isfinite(radius):
        fewest = int(np.ceil(settings.level / (1 - settings.level) - 1e-9))
        gathered.lack(
            "radius of predictions", f"at level {settings.level:g} it takes {fewest} prompts"
        )
    true = nearest_region(made.ends, centres)
    is_right = [
        (nearest_region(one, centres) == true).astype(float)
        for one in (made.predicted, made.stays, made.usual)
    ]
    shares = [float(one.mean()) for one in is_right]
    gain = is_right[0] - is_right[1 if shares[1] >= shares[2] else 2]
    bounds = mean_interval(gain, made.prompts.tolist(), settings)
    known = finite(radius)
    return (k, known, settings.level, None if known is None else covered, *shares,
            *map(finite, bounds))  # fmt: skip


def _say(
    k: int,
    rows: Sequence[tuple[object, ...]],
    made: PredictedEnds,
    gathered: Findings,
    level: float,
) -> None:
    skill, low, high = made.skill(made.better_baseline(), level)
    n_prompts = len(codes_of(made.prompts)[1])
    against = ", ".join(f"{row[2]:z.2f} over “{row[1]}”" for row in rows)
    told = "can" if low > 0 else "cannot be shown to"
    gathered.statements.append(
        Statement(
            f"from {_known(k)}",
            f"From {_known(k)} it {told} be told where a run of another prompt ends: skill "
            f"{skill:z.2f}{between(low, high, level, '.2f')} over the better baseline ({against})",
            skill, low, high, level, "1", n_prompts, "prompts",
        )
    )  # fmt: skip


def _transferred(
    own: TrajectorySet, made: PredictedEnds, k: int, level: float, gathered: Findings
) -> list[tuple[object, ...]]:
    """Return the skill on networks that were held out: of all, then of each."""
    networks = own.labels.network[made.runs]
    names = ["", *np.unique(networks).tolist()]
    parts = [made, *(made.of(networks == name) for name in names[1:])]
    skills = [one.skill(one.better_baseline(), level) for one in parts]
    (value, low, high), told = skills[0], [skill for skill, _, _ in skills[1:]]
    if not np.isfinite(value):
        raise AnalysisError("a baseline makes no error: there is nothing to predict")
    n_prompts = len(codes_of(made.prompts)[1])
    gathered.statements.append(
        Statement(
            f"other networks, from {_known(k)}",
            f"From {_known(k)}, trained on other networks alone: skill {value:z.2f}"
            f"{between(low, high, level, '.2f')} over the better baseline, from "
            f"{np.nanmin(told):z.2f} to {np.nanmax(told):z.2f} by network",
            value, low, high, level, "1", n_prompts, "prompts",
        )
    )  # fmt: skip
    return [
        (k, name, *map(finite, skill), len(codes_of(one.prompts)[1]), len(one.runs))
        for name, skill, one in zip(names, skills, parts, strict=True)
    ]


def _answer_first(result: AnalysisResult) -> Statement | None:
    """Return what is told from a tenth of the run, else from the prompt alone."""
    subjects = [one.subject for one in result.statements if one.subject.startswith("from")]
    return about(*reversed(subjects))(result)


PLUGINS = (
    Analysis(
        name="prediction",
        question=QUESTIONS[0],
        asks="how well a run's end is told from its prompt and first states, prompts held out",
        function=analyse_prediction,
        settings=PredictionSettings,
        order=20,
        answer=_answer_first,
        figures=(
            FigureSpec(
                name="skill",
                table="skill",
                form="lines",
                title="How soon it can be told where a run ends",
                caption="Skill on held-out prompts over each baseline, interval over prompts; 0 "
                "(line): no better than it.",
                x="states",
                y="skill",
                series="against",
                low="low",
                high="high",
                reference=0.0,
            ),
            FigureSpec(
                name="other_networks",
                table="transfer",
                form="intervals",
                title="How well networks tell of another one",
                caption="Skill on a network, and on prompts, that were held out of training, over "
                "the better baseline; 0 (line): no better. Interval over prompts.",
                x="network",
                y="skill",
                series="states",
                low="low",
                high="high",
                reference=0.0,
            ),
        ),
    ),
)
