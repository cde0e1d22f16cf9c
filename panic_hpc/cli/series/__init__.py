"""`panic-hpc series`: prompts and settings bred round after round, each round an experiment."""

import typer

from panic_hpc.cli.series.drawing import draw_tree, page_for_votes, report_series
from panic_hpc.cli.series.files import export_population, import_population
from panic_hpc.cli.series.going_on import advance_series, start_series
from panic_hpc.cli.series.showing import show_series

PANEL = ("The main job", 21)


def register(app: typer.Typer) -> None:
    """Add the verb and its own."""
    app.add_typer(verbs(), name="series")


def verbs() -> typer.Typer:
    """Return its own verbs."""
    series = typer.Typer(
        help="Breed prompts and settings: rounds of experiments, ranked by a measure or by people.",
        no_args_is_help=True,
    )
    series.command("start")(start_series)
    series.command("advance")(advance_series)
    series.command("show")(show_series)
    series.command("report")(report_series)
    series.command("tree")(draw_tree)
    series.command("vote")(page_for_votes)
    series.command("import")(import_population)
    series.command("export")(export_population)
    return series
