"""`panic-hpc models`: the models that experiments may name, and bringing them to jobs."""

import typer

from panic_hpc.cli.models.checking import check_models
from panic_hpc.cli.models.fetching import fetch_models, lock_models
from panic_hpc.cli.models.listing import list_models

PANEL = ("What there is to run on and with", 1)


def register(app: typer.Typer) -> None:
    """Add the verb and its own."""
    models = typer.Typer(help="The models that experiments may name.", no_args_is_help=True)
    models.command("list")(list_models)
    models.command("lock")(lock_models)
    models.command("fetch")(fetch_models)
    models.command("check")(check_models)
    app.add_typer(models, name="models")
