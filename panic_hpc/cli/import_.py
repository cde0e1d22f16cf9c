"""`panic-hpc import`: upstream's SQLite databases as datasets."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json, warn

PANEL = ("The dataset", 1)
SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="import")(import_database)


def import_database(
    database: Annotated[
        Path, typer.Argument(metavar="DATABASE", help="An SQLite file of upstream's panic-tda.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The dataset to make.")],
    experiment: Annotated[
        list[str] | None,
        typer.Option(help="Only this experiment, by how its id begins; can be given again."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a dataset of upstream's experiments, of its Python or its Elixir years."""
    from panic_hpc.upstream.importing import import_upstream

    with count_bar("import") as report:
        imported = import_upstream(
            database, output, report, experiments=experiment or (), force=force
        )
    if as_json:
        value = asdict(imported.merged) | {"path": str(output), "problems": imported.problems}
        say_json(value)
        return
    say(f"{output}: {imported.merged.n_runs} runs, content key {imported.merged.content_key}")
    for problem in imported.problems[:SHOWN]:
        warn(problem)
    if len(imported.problems) > SHOWN:
        warn(f"and {len(imported.problems) - SHOWN} more like these")
