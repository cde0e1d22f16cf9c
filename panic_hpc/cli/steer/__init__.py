"""`panic-hpc steer`: where models can be steered, and from what towards what."""

import typer

from panic_hpc.cli.steer.fit import fit
from panic_hpc.cli.steer.locations import locations
from panic_hpc.cli.steer.response import response

PANEL = ("The dataset", 4)


def register(app: typer.Typer) -> None:
    """Add the verb and its own."""
    steer = typer.Typer(
        help="Steer picture models from one class of prompts towards another.",
        no_args_is_help=True,
    )
    steer.command("locations")(locations)
    steer.command("fit")(fit)
    steer.command("response")(response)
    app.add_typer(steer, name="steer")
