"""What came of a round that is merged: by its dataset, by votes on it, or by somebody's table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from panic_hpc.errors import PanicError
from panic_hpc.evolution.genome import Individual
from panic_hpc.evolution.ranking import (
    RunsOfRound,
    by_measure,
    by_table,
    by_votes,
    require_some_value,
    runs_of_round,
)
from panic_hpc.evolution.rounds import (
    BRED,
    CONTROL,
    AskedRuns,
    GenerationPaths,
    Ranked,
    Ranking,
    best_first,
)
from panic_hpc.evolution.series_file import SeriesPlan
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.workspace.workspace import Workspace

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset


class Waiting(PanicError):  # noqa: N818 - a state, not a fault
    """A series cannot go on before somebody has voted or written a table; the hint says how."""


class UnderWay(Waiting):
    """A round was submitted as jobs, and nobody has to wait for it."""


def ranking_of(
    paths: GenerationPaths,
    plan: SeriesPlan,
    people: Mapping[str, Sequence[Individual]],
    asked: AskedRuns,
    workspace: Workspace,
) -> Ranking:
    """Return what came of a round that is merged; Waiting where people have to rank it first."""
    with open_dataset(workspace.paths.dataset) as dataset:
        runs = runs_of_round(workspace.manifest, dataset)
        ranked = _ranked(paths, plan, asked, runs, dataset)
        by_id = {one.id: one for one in ranked}
        return Ranking(
            content_key=dataset.content_key,
            bred=_order(plan, [by_id[one.id] for one in people[BRED]]),
            control=_order(plan, [by_id[one.id] for one in people.get(CONTROL, ())]),
        )


def _order(plan: SeriesPlan, ranked: Sequence[Ranked]) -> tuple[Ranked, ...]:
    # In a table the first is number 1.
    is_more_better = plan.series.maximise and plan.series.rank != "file"
    return best_first(ranked, maximise=is_more_better)


def _ranked(
    paths: GenerationPaths,
    plan: SeriesPlan,
    asked: AskedRuns,
    runs: RunsOfRound,
    dataset: "Dataset",
) -> list[Ranked]:
    from panic_hpc.analysis.comparing.measures import measure

    series = plan.series
    measured = measure(dataset, series.measure).values if series.measure else None
    kinds = [measure(dataset, name).values for name in series.descriptors]
    ranked = by_measure(asked, runs, measured, kinds)
    if series.rank == "votes":
        ranked = _voted(paths, asked, runs, dataset, ranked)
    elif series.rank == "file":
        if not paths.table.exists():
            raise Waiting(
                f"Round {paths.number + 1} is merged, and waits for its table",
                hint=what_people_do(paths, series.rank),
            )
        ranked = by_table(ranked, paths.table)
    hint = f"panic-hpc status {paths.experiment}, and panic-hpc compare {paths.experiment}, say why"
    require_some_value(ranked, f"every run failed, or has no {series.measure or 'rank'}", hint)
    return ranked


def what_people_do(paths: GenerationPaths, rank: str) -> str:
    """Return what people do before a round that is merged can be ranked, "" for nothing."""
    if rank == "votes":
        return (
            f"panic-hpc series vote {paths.root} --page vote.html asks for votes, panic-hpc vote "
            f"{paths.experiment} --import FILE.json takes them; then advance again"
        )
    if rank == "file":
        return (
            f"Write {paths.table} with a column individual, the best first (ranks in a column rank "
            "may tie); then advance again"
        )
    return ""


def _voted(
    paths: GenerationPaths,
    asked: AskedRuns,
    runs: RunsOfRound,
    dataset: "Dataset",
    ranked: Sequence[Ranked],
) -> list[Ranked]:
    from panic_hpc.voting.folder import read_votes, votes_folder
    from panic_hpc.voting.votes import latest

    votes = latest(read_votes(votes_folder(dataset.path)).votes)
    if not votes:
        raise Waiting(
            f"Round {paths.number + 1} is merged, and waits for votes",
            hint=what_people_do(paths, "votes"),
        )
    return by_votes(ranked, dataset, asked, runs, votes)
