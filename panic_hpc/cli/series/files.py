"""`panic-hpc series import` and `export`: populations of toy_sd_genetics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.options import Force
from panic_hpc.cli.console.output import say
from panic_hpc.cli.series.place import Place, write_beside
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from panic_hpc.evolution.genome import Population


def import_population(
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
    write_beside(output, population.as_json(), file, force)
    _say_population(output, population)


def export_population(
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
    number = max(0, len(found) - 1) if round_ is None else round_
    if number >= len(found):
        raise PanicError(
            f"{directory} has no round {number} ({counted(len(found), 'round')} begun)",
            hint=f"panic-hpc series show {directory}",
        )
    known = {one.id: one.parents for one in kin_of(found).values()}
    people = found[number].people[BRED]
    value = seed_form(people, plan.population.chromosomes, known)
    write_beside(output, to_json(value), directory / "series.json", force)
    say(f"{output}: {counted(len(people), 'individual')} of round {number}")


def _say_population(path: Path, population: "Population") -> None:
    n_loci = sum(len(one.loci) for one in population.chromosomes)
    said = (
        counted(len(population.individuals), "individual"),
        counted(len(population.chromosomes), "chromosome"),
        f"{n_loci:,} loci",
    )
    say(f"{path}: {', '.join(said)}")
