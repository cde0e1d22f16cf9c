"""Motifs: whether endpoints of runs form clusters, beside clouds in which there should be none.

Hintze et al. (Patterns, December 2025) find twelve motifs among endpoints. Three controls: the
embedded prompts, the first states (what one pass through the network gives, unlinked), and one
Gaussian of the same covariance for the number of clusters.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.similarity.motifs import Motifs, motifs
from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    Quantity,
    ResultTable,
    Statement,
)
from panic_hpc.analysis.samples import caption_of, mean_directions, networks_of
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows
from panic_hpc.plain_text import counted

ENDS = "ends"
_CLOUDS = (
    Quantity("network", "its models; all: prompts, which have none", ""),
    Quantity("cloud", "ends, first states, or prompts", ""),
    Quantity("points", "one a prompt", "prompts"),
    Quantity("clusters", "that the points have, 1: no more than one Gaussian", "clusters"),
    Quantity("p", "of the null of one Gaussian"),
    Quantity("tried", "clusters for which stability was measured", "clusters"),
    Quantity("stability", "how alike clusterings of two subsamples are (adjusted Rand index)"),
    Quantity("stability_null", "the same of a Gaussian"),
)
_GAPS = (
    Quantity("network", "its models; all: prompts, which have none", ""),
    Quantity("cloud", "ends, first states, or prompts", ""),
    Quantity("clusters", "number that is tried", "clusters"),
    Quantity("gap", "gap statistic against one Gaussian"),
    Quantity("error", "its standard error"),
)
_MEMBERS = (
    Quantity("network", "its models", ""),
    Quantity("motif", "from 0; 0 alone where there are no clusters", ""),
    Quantity("prompt", "whose runs end in it", ""),
    Quantity("is_medoid", "whether it is the motif's middle", ""),
    Quantity("caption", "last text of its first run; null: unknown", ""),
)


class MotifSettings(AnalysisSettings):
    """What the analysis can be told.

    most        clusters that are tried
    references  draws of the Gaussian
    """

    most: int = Field(default=12, ge=2)
    references: int = Field(default=39, ge=19)


def analyse_motifs(trajectories: TrajectorySet, settings: MotifSettings) -> AnalysisResult:
    """Cluster ends, first states and prompts, a point a prompt, network by network."""
    gathered = Findings()
    clouds: list[tuple[object, ...]] = []
    gaps: list[tuple[object, ...]] = []
    members: list[tuple[object, ...]] = []
    for name, cloud, points, own in _points(trajectories, gathered):
        with gathered.part(cloud, name):
            known = np.isfinite(points).all(axis=1)
            seen = motifs(
                points[known], most=settings.most, references=settings.references,
                level=settings.level, seed=settings.seed,
            )  # fmt: skip
            clouds.append((name, cloud, seen.n, seen.k, seen.p, seen.tried, seen.stability,
                           seen.stability_null))  # fmt: skip
            gaps += [
                (name, cloud, number + 1, float(gap), float(error))
                for number, (gap, error) in enumerate(zip(seen.gaps, seen.errors, strict=True))
            ]
            if own is not None and cloud == ENDS:
                members += _members(name, own, np.flatnonzero(known), seen)
            _say(name, cloud, seen, gathered)
    if not clouds:
        gathered.lack("motifs", "no cloud has enough points")
    tables = [
        ResultTable.of_rows("clouds", "cloud of points", _CLOUDS, clouds),
        ResultTable.of_rows("gaps", "number of clusters of a cloud", _GAPS, gaps),
        ResultTable.of_rows("members", "prompt in a network", _MEMBERS, members),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _points(
    trajectories: TrajectorySet, gathered: Findings
) -> list[tuple[str, str, NDArray[np.float64], TrajectorySet | None]]:
    """Return (network, cloud, a point a prompt, its runs), the prompts themselves first."""
    clouds: list[tuple[str, str, NDArray[np.float64], TrajectorySet | None]] = []
    if trajectories.prompts is None or not len(trajectories.prompts):
        gathered.lack("control: prompts", "prompts were not embedded")
    else:
        first = np.unique(trajectories.labels.prompt, return_index=True)[1]
        points = unit_rows(trajectories.prompts[first]).astype(np.float64)
        clouds.append(("all", "prompts", points, None))
    for name, own in networks_of(trajectories):
        for cloud, period in (("first states", (0.0, 0.0)), (ENDS, (0.9, 1.0))):
            places = _of_prompts(mean_directions(own, *period), own)
            clouds.append((name, cloud, places, own))
    return clouds


def _of_prompts(places: NDArray[np.float64], own: TrajectorySet) -> NDArray[np.float64]:
    """Return (prompts, D) means of runs that have a place, nan of none."""
    part = factor("prompt", own.labels.prompt)
    known = np.isfinite(places).all(axis=1)
    counts = np.bincount(part.codes[known], minlength=part.n_levels)
    sums = np.asarray(part.indicator()[:, known] @ places[known])
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan)


def _members(
    name: str, own: TrajectorySet, kept: NDArray[np.int64], seen: Motifs
) -> list[tuple[object, ...]]:
    levels, first = np.unique(own.labels.prompt, return_index=True)
    rows: list[tuple[object, ...]] = []
    for place, level in enumerate(kept.tolist()):
        run = int(first[level])
        caption = caption_of(own, run, int(own.lengths[run]) - 1) if own.dataset is None else None
        rows.append(
            (name, int(seen.labels[place]), str(levels[level]), place in seen.medoids, caption)
        )
    return rows


def _say(name: str, cloud: str, seen: Motifs, gathered: Findings) -> None:
    said = (
        f"{cloud.capitalize()} form {counted(seen.k, 'cluster')}"
        if seen.k > 1
        else f"{cloud.capitalize()} are no more clustered than one Gaussian"
    )
    gathered.statements.append(
        Statement(
            name,
            f"{said} (p {seen.p:.3g}); subsamples agree to {seen.stability:.2f} on {seen.tried}, "
            f"those of a Gaussian to {seen.stability_null:.2f}",
            float(seen.k), unit="clusters", n=seen.n, replication="prompts",
        )
    )  # fmt: skip
    gathered.tests.append(
        HypothesisTest(
            f"motifs: {cloud}", name, "points are of one Gaussian of their covariance",
            float(seen.gaps[seen.tried - 1]), seen.p, seen.n, "prompts", seen.references,
        )
    )  # fmt: skip


PLUGINS = (
    Analysis(
        name="motifs",
        question=QUESTIONS[2],
        asks="whether ends of runs form clusters, beside first states, prompts and a Gaussian",
        function=analyse_motifs,
        settings=MotifSettings,
        order=250,
        answer=in_networks(
            "ends of runs form clusters, more than one Gaussian has",
            lambda one: one.value > 1,
            "numbers of clusters",
            ".0f",
            begins=ENDS.capitalize(),
        ),
        figures=(
            FigureSpec(
                name="gaps",
                table="gaps",
                form="lines",
                title="How clustered ends of runs are, beside their controls",
                caption="Gap to one Gaussian: 0 (line) is as clustered as that. First states and"
                " prompts are the controls.",
                x="clusters",
                y="gap",
                series="cloud",
                panels="network",
                reference=0.0,
            ),
        ),
    ),
)
