"""`panic-hpc series tree`, `report` and `vote`: pictures and pages."""

from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.options import Force
from panic_hpc.cli.console.output import say
from panic_hpc.cli.series.place import Place, write_beside
from panic_hpc.plain_text import counted


def draw_tree(
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
        write_beside(output, graph, directory / "series.json", force)
    say(f"{output}: {counted(len(members), 'individual')}")


def report_series(
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


def page_for_votes(
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
    write_beside(page, content, dataset, force)
    say(f"{'page':20} {page}")
    say(f"Send it; then panic-hpc vote {dataset.parent} --import what it lets download")
