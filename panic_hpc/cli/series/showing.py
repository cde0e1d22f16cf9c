"""`panic-hpc series show`: what became of a series so far, and what to type next."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc.cli.console.options import Json
from panic_hpc.cli.console.output import columns, literal, out, say, say_json, warn
from panic_hpc.cli.series.place import Place
from panic_hpc.plain_text import counted, one_line

if TYPE_CHECKING:
    from panic_hpc.evolution.driving import Generation
    from panic_hpc.evolution.series_file import SeriesPlan

WIDEST_TEXT = 160


def show_series(directory: Place, as_json: Json = False) -> None:
    """Show what became of a series so far, and what to type next."""
    from panic_hpc.evolution.driving import history, read_plan

    plan = read_plan(directory)
    tell_series(directory, plan, history(directory, plan), as_json)


def tell_series(
    root: Path, plan: "SeriesPlan", generations: "list[Generation]", as_json: bool
) -> None:
    """Print rounds, the best individual, and what to type next; or all of it as JSON."""
    from panic_hpc.disk.files import without_nan
    from panic_hpc.evolution.by_jobs import last_cluster, stop_of
    from panic_hpc.evolution.judging import what_people_do
    from panic_hpc.evolution.progress import summaries
    from panic_hpc.evolution.rounds import GenerationPaths

    rounds = summaries(generations, plan.population.chromosomes)
    if as_json:
        own = [without_nan(asdict(one)) for one in rounds]
        say_json({"measure": plan.series.measure, "rank": plan.series.rank, "rounds": own})
        return
    if rounds:
        _print(plan, rounds)
        _print_best(plan, generations)
    if stop := stop_of(root):
        warn(f"Jobs have stopped in round {stop.round}: {one_line(stop.why)}")
    n_left = plan.series.rounds - len(rounds)
    paths = GenerationPaths(root, len(rounds))
    if n_left and paths.dataset.exists():
        told = what_people_do(paths, plan.series.rank)
        say(f"Round {len(rounds)} is merged. {told}".rstrip())
    if n_left:
        cluster = last_cluster(root)
        option = f" --cluster {cluster}" if cluster else ""
        say(f"{counted(n_left, 'round')} to go: panic-hpc series advance {root}{option}")
    else:
        say("The best of many is also the luckiest: breed again with another seed")


def _print(plan: "SeriesPlan", rounds: list[Any]) -> None:
    what = plan.series.measure or f"ranks by {plan.series.rank}"
    say(f"{what}, mean of {counted(rounds[-1].n_individuals, 'individual')}", "bold")
    head = ("round", "mean", "control", "best", "individual", "failed", "loci", "likeness")
    table = columns(*head, left=("individual",))
    for one in rounds:
        numbers = (one.mean, one.control, one.best)
        shown = ["" if value is None else f"{value:.4g}" for value in numbers]
        failed = f"{one.n_failed} of {one.n_runs}"
        likeness = f"{one.likeness:.2f}"
        best_id = literal(one.best_id)
        table.add_row(str(one.number), *shown, best_id, failed, str(one.n_loci), likeness)
    out.print(table, soft_wrap=False)
    if n_silent := sum(one.n_silent for one in rounds):
        warn(f"  {counted(n_silent, 'expression')} without a word had no run")


def _print_best(plan: "SeriesPlan", found: "list[Generation]") -> None:
    from panic_hpc.evolution.rounds import BRED, spoken_of

    last = [one for one in found if one.ranking][-1]
    assert last.ranking is not None
    best = next(one for one in last.people[BRED] if one.id == last.ranking.bred[0].id)
    said = spoken_of(plan, best, last.number)
    settings = ", ".join(f"{name} = {value}" for name, value in said.settings.items())
    say(f"{best.id} says, for one: {one_line(said.text, WIDEST_TEXT)}")
    if settings:
        say(f"and sets {settings}")
