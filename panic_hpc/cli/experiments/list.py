"""`panic-hpc list`: the experiments below a directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from panic_hpc.workspace.finding import Found

PANEL = ("Experiments", 0)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("list")(list_experiments)


def list_experiments(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to search.")] = Path("."),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List the experiments below a directory."""
    from dataclasses import asdict

    from panic_hpc.cli.console.output import say, say_json
    from panic_hpc.errors import PanicError
    from panic_hpc.workspace.finding import find_experiments

    if not directory.is_dir():
        raise PanicError(f"{directory} is not a directory")
    # By manifests alone, and without shards being opened: `list` of a whole scratch directory stays
    # bearable.
    found = list(find_experiments(directory))
    if as_json:
        say_json([asdict(one) | {"root": str(one.root)} for one in found])
    elif not found:
        say(f"No experiment below {directory}. Plan one: panic-hpc plan EXPERIMENT.toml EXP")
    else:
        _print_table(found)


def _print_table(found: "list[Found]") -> None:
    from rich.table import Column, Table

    from panic_hpc.cli.console.output import literal, out

    # A path that is cut cannot be typed: it is folded onto further lines.
    root = Column("experiment", overflow="fold")
    table = Table(root, "name", "runs", "steps", "published", "dataset", "key", box=None)
    for one in found:
        row = (str(one.root), one.problem, "", "", "", "", "") if one.problem else _row(one)
        table.add_row(*(literal(cell, "red" if one.problem else "") for cell in row))
    out.print(table)


def _row(one: "Found") -> tuple[str, ...]:
    numbers = (str(one.n_runs), str(one.max_length), f"{one.n_published} shards")
    return (str(one.root), one.name, *numbers, "merged" if one.merged else "", one.key[:12])
