"""`panic-hpc submit`: do, or let a scheduler do, what is not done yet."""

from typing import Any

import typer

from panic_hpc.cli.main_job.submission import carry_out, shares_options

PANEL = ("The main job", 2)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(submit)


@shares_options
def submit(**typed: Any) -> None:
    """Work on every shard that is not completed, here or on a cluster; type it again to go on.

    Exit codes: 0 everything asked for is completed (or submitted), 1 an error, 3 some shards
    failed or wait, 85 stopped in a state from which the same command goes on.
    """
    carry_out(**typed)
