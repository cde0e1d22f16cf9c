"""`panic-hpc series`: prompts and settings bred round after round, each round an experiment."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.options import ClusterName, ExecutorName, Force, Json, Workers
from panic_hpc.cli.console.output import literal, out, say, say_json, warn
from panic_hpc.plain_text import counted, one_line

if TYPE_CHECKING:
    from panic_hpc.evolution.driving import Generation
    from panic_hpc.evolution.genome import Population
    from panic_hpc.evolution.series_file import SeriesPlan

PANEL = ("The main job", 21)
WIDEST_TEXT = 160

series = typer.Typer(
    help="Breed prompts and settings: rounds of experiments, ranked by a measure, votes or a file.",
    no_args_is_help=True,
)
Place = Annotated[Path, typer.Argument(metavar="DIR", help="The series' directory.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(series, name="series")


@series.command()
def start(
    file: Annotated[Path, typer.Argument(metavar="SERIES", help="A series' file, in TOML.")],
    directory: Place,
    from_captions: Annotated[
        Path | None,
        typer.Option(metavar="EXP", help="Founders are what the captions of a dataset say."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the file's.")] = None,
) -> None:
    """Begin a series: its founders, and the first round's experiment. Nothing runs yet."""
    from panic_hpc.evolution.driving import start as begin
    from panic_hpc.evolution.series_file import read_series

    captions = _captions(from_captions) if from_captions else None
    plan = read_series(file, captions, seed=seed)
    begin(directory, plan)
    n_founders = len(plan.population.individuals)
    say(f"{counted(n_founders, 'founder')}, {counted(plan.series.rounds, 'round')}")
    say(f"{'series':20} {directory}")
    say(f"Now: panic-hpc series advance {directory}")


def _captions(source: Path) -> list[str]:
    from panic_hpc.cli.datasets.compare import opened
    from panic_hpc.evolution.captions import captions_of

    with opened(source) as dataset:
        return captions_of(dataset)


@series.command()
def advance(
    directory: Place,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="At most so many; else to the end.")
    ] = None,
    cluster: ClusterName = "local",
    executor: ExecutorName = "local",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Go on with a series: run, merge, rank and breed, round after round.

    Whatever ended it, the same command goes on where it was.
    """
    from panic_hpc.backends.base import request_for
    from panic_hpc.cli.main_job.submission import executor_named
    from panic_hpc.evolution.driving import Waiting, read_plan
    from panic_hpc.evolution.driving import advance as go_on

    plan = read_plan(directory)
    request = request_for(cluster, executor=executor_named(executor), workers=workers)
    tell = (lambda text: None) if as_json else say
    try:
        found = go_on(directory, plan, request, most_rounds=rounds, progress=not as_json, tell=tell)
    except Waiting as waiting:
        warn(str(waiting))
        raise typer.Exit(exit_codes.INCOMPLETE) from None
    _tell(directory, plan, found, as_json)


@series.command()
def show(directory: Place, as_json: Json = False) -> None:
    """Show what became of a series so far, and what to type next."""
    from panic_hpc.evolution.driving import history, read_plan

    plan = read_plan(directory)
    _tell(directory, plan, history(directory, plan), as_json)


def _tell(root: Path, plan: "SeriesPlan", found: "list[Generation]", as_json: bool) -> None:
    from panic_hpc.disk.files import without_nan
    from panic_hpc.evolution.progress import summaries

    rounds = summaries(found, plan.population.chromosomes)
    if as_json:
        own = [without_nan(asdict(one)) for one in rounds]
        say_json({"measure": plan.series.measure, "rank": plan.series.rank, "rounds": own})
        return
    if rounds:
        _print(plan, rounds)
        _print_best(plan, found)
    n_left = plan.series.rounds - len(rounds)
    if n_left:
        say(f"{counted(n_left, 'round')} to go: panic-hpc series advance {root}")
    else:
        say("The best of many is also the luckiest: breed again with another seed")


def _print(plan: "SeriesPlan", rounds: list[Any]) -> None:
    from rich.table import Table

    what = plan.series.measure or f"ranks by {plan.series.rank}"
    say(f"{what}, mean of {counted(rounds[-1].n_individuals, 'individual')}", "bold")
    head = ("round", "mean", "control", "best", "individual", "failed", "loci", "likeness")
    table = Table(*head, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns:
        column.justify = "left" if column.header == "individual" else "right"
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


@series.command()
def tree(
    directory: Place,
    individual: Annotated[
        str, typer.Argument(metavar="ID", help="Whose ancestors; else those of the best.")
    ] = "",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help=".png, or .graphml.")
    ] = Path("tree.png"),
    generations: Annotated[int, typer.Option(min=1, help="Of ancestors, at most.")] = 6,
    force: Force = False,
) -> None:
    """Draw an individual's family tree, with everybody's picture, or write it as GraphML."""
    from panic_hpc.disk.overwriting import admit
    from panic_hpc.errors import PanicError
    from panic_hpc.evolution.driving import history, read_plan
    from panic_hpc.evolution.family import best_of, family_of, labels_of
    from panic_hpc.report.family_tree import family_graphml, family_tree

    if output.suffix.lower() not in (".png", ".graphml"):
        raise PanicError(f"{output}: a name that ends in .png or .graphml was expected")
    plan = read_plan(directory)
    found = history(directory, plan)
    members = family_of(directory, plan, found, individual or best_of(found), generations)
    if output.suffix.lower() == ".png":
        admit(output, [directory / "series.json"], force=force)
        family_tree(members, output)
    else:
        graph = family_graphml(members, labels_of(plan, found, members))
        _write(output, graph, directory / "series.json", force)
    say(f"{output}: {counted(len(members), 'individual')}")


@series.command()
def report(
    directory: Place,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Else DIR/report.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a page: values by round beside the control, diversity, the best, and their family."""
    from panic_hpc.evolution.driving import history, read_plan
    from panic_hpc.evolution.telling import told_of
    from panic_hpc.report.page.series import write_series_page

    plan = read_plan(directory)
    told = told_of(directory, plan, history(directory, plan))
    folder = output or directory / "report"
    page = write_series_page(told, folder, [directory / "series.json"], force=force)
    say(f"{'report':20} {page}")


@series.command()
def vote(
    directory: Place,
    page: Annotated[Path, typer.Option(metavar="FILE.html", help="What is written.")],
    questions: Annotated[int, typer.Option(min=1, max=2000, help="Asked, at most.")] = 60,
    asked: Annotated[str, typer.Option(metavar="TEXT", help="What is asked.")] = "Which is better?",
    force: Force = False,
) -> None:
    """Write a page on which people compare individuals of the round that was merged last."""
    from panic_hpc.evolution.driving import read_plan
    from panic_hpc.evolution.voting_round import page_of_round

    plan = read_plan(directory)
    dataset, content = page_of_round(directory, plan, questions, asked)
    _write(page, content, dataset, force)
    say(f"{'page':20} {page}")
    say(f"Send it; then panic-hpc vote {dataset.parent} --import what it lets download")


@series.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="GEN.json", help="A population of toy_sd_genetics.")
    ],
    output: Annotated[Path, typer.Argument(metavar="POPULATION.json", help="What is written.")],
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="All loci there are: lists by chromosome, or a .txt by first letter."),
    ] = None,
    force: Force = False,
) -> None:
    """Read a population of toy_sd_genetics' form, and write ours."""
    from panic_hpc.evolution.seed_files import read_seed_file

    population = read_seed_file(file, vocabulary)
    _write(output, population.as_json(), file, force)
    _say_population(output, population)


@series.command()
def export(
    directory: Place,
    output: Annotated[Path, typer.Argument(metavar="GEN.json", help="What is written.")],
    round_: Annotated[
        int | None, typer.Option("--round", min=0, help="From 0; else the last one.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a round's population in toy_sd_genetics' form, ancestors nested."""
    from panic_hpc.disk.files import to_json
    from panic_hpc.errors import PanicError
    from panic_hpc.evolution.driving import history, read_plan
    from panic_hpc.evolution.progress import kin_of
    from panic_hpc.evolution.rounds import BRED
    from panic_hpc.evolution.seed_files import seed_form

    plan = read_plan(directory)
    found = history(directory, plan)
    number = len(found) - 1 if round_ is None else round_
    if number >= len(found):
        raise PanicError(f"{directory} has no round {number}", hint=f"There are {len(found)}")
    known = {one.id: one.parents for one in kin_of(found).values()}
    people = found[number].people[BRED]
    value = seed_form(people, plan.population.chromosomes, known)
    _write(output, to_json(value), directory / "series.json", force)
    say(f"{output}: {counted(len(people), 'individual')} of round {number}")


def _write(path: Path, content: bytes, source: Path, force: bool) -> None:
    from panic_hpc.disk.files import replace_file
    from panic_hpc.disk.overwriting import admit

    admit(path, [source], force=force)
    replace_file(path, content)


def _say_population(path: Path, population: "Population") -> None:
    n_loci = sum(len(one.loci) for one in population.chromosomes)
    said = (
        counted(len(population.individuals), "individual"),
        counted(len(population.chromosomes), "chromosome"),
        f"{n_loci:,} loci",
    )
    say(f"{path}: {', '.join(said)}")
