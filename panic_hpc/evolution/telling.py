"""What a report tells of a series, gathered from its rounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from panic_hpc.evolution.driving import Generation
from panic_hpc.evolution.family import best_of, family_of, pictures_of
from panic_hpc.evolution.progress import RoundSummary, summaries
from panic_hpc.evolution.rounds import BRED, best_of_each_kind, spoken_of
from panic_hpc.evolution.series_file import SeriesPlan
from panic_hpc.keys import content_key
from panic_hpc.plain_text import counted
from panic_hpc.report.page.series import BestOfRound, SeriesTold

GENERATIONS = 5
"""Of ancestors that the page's tree shows."""


def told_of(root: Path, plan: SeriesPlan, rounds: Sequence[Generation]) -> SeriesTold:
    """Return what a page tells of a series; PanicError where no round is ranked."""
    best = best_of(rounds)
    rows = summaries(rounds, plan.population.chromosomes)
    return SeriesTold(
        title=root.absolute().name,
        told=_ranked_by(plan),
        key=content_key(plan.model_dump(mode="json", exclude={"series": {"rounds"}})),
        notes=_notes(plan, rounds, rows),
        rounds=[_row(one) for one in rows],
        best=_best(root, plan, rounds),
        family=family_of(root, plan, rounds, best, GENERATIONS),
    )


def _ranked_by(plan: SeriesPlan) -> str:
    series = plan.series
    word = "largest" if series.maximise else "smallest"
    by = f"the {word} {series.measure}" if series.measure else f"ranks by {series.rank}"
    return f"Bred for {by}, by {series.breeding.selection} selection, from seed {series.seed}"


def _notes(
    plan: SeriesPlan, rounds: Sequence[Generation], rows: Sequence[RoundSummary]
) -> list[str]:
    last = rows[-1]
    notes = ["The best of many is also the luckiest: what was bred has to be run with other seeds"]
    if last.mean is not None and last.control is not None:
        gap = last.mean - last.control
        notes.append(f"Bred against control in the last round: {gap:+.4g}, one series' difference")
    if n_failed := sum(one.n_failed for one in rows):
        n_runs = sum(one.n_runs for one in rows)
        notes.append(f"{n_failed} of {counted(n_runs, 'run')} have no value and are left out")
    if plan.series.archive:
        rankings = [one.ranking.bred for one in rounds if one.ranking]
        kept = best_of_each_kind(plan, rankings)
        named = ", ".join(one.id for one in kept[:12])
        notes.append(f"The archive has the best of {counted(len(kept), 'kind')}: {named}")
    return notes


def _row(one: RoundSummary) -> dict[str, Any]:
    return {
        "round": one.number,
        "mean": one.mean,
        "control": one.control,
        "best": one.best,
        "individual": one.best_id,
        "individuals": one.n_individuals,
        "without a value": one.n_without,
        "runs": one.n_runs,
        "failed": one.n_failed,
        "silent": one.n_silent,
        "loci": one.n_loci,
        "likeness": one.likeness,
    }


def _best(root: Path, plan: SeriesPlan, rounds: Sequence[Generation]) -> list[BestOfRound]:
    ranked = [(one, one.ranking.bred[0]) for one in rounds if one.ranking]
    pictures = pictures_of(root, plan, rounds, {first.id for _, first in ranked})
    found = []
    for one, first in ranked:
        individual = next(own for own in one.people[BRED] if own.id == first.id)
        text = spoken_of(plan, individual, one.number).text
        value = "" if first.value is None else f"{first.value:.3g}"
        found.append(BestOfRound(one.number, first.id, value, text, pictures.get(first.id)))
    return found
