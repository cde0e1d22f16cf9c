"""`panic-hpc dataset …`: the file itself, its content unchanged."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.byte_bar import byte_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json
from panic_hpc.cli.datasets.export import Source, dataset_path
from panic_hpc.plain_text import size

PANEL = ("The dataset", 3)

dataset = typer.Typer(
    name="dataset", help="Change the file of a dataset, not its content.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the verbs under `dataset`."""
    app.add_typer(dataset, name="dataset")


@dataset.command()
def pack(
    source: Source,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The whole dataset; default: in place of this one."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Copy pictures that a dataset refers to into it, so that it needs its shards no more."""
    from panic_hpc.merging.packing import pack as make_whole

    path = dataset_path(source)
    with byte_bar("pack") as report:
        packed = make_whole(path, output or path, force=force, report=report)
    if as_json:
        say_json(asdict(packed) | {"path": str(packed.path)})
        return
    state = f"packed {size(packed.packed_nbytes)} of pictures" if packed.packed_nbytes else "whole"
    say(f"{packed.path}: {state}, {size(packed.nbytes)}")
    say(f"content key {packed.content_key}")
