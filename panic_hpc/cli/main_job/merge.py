"""`panic-hpc merge`: shards of one experiment or of many into one dataset."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.byte_bar import byte_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json, warn
from panic_hpc.plain_text import size

if TYPE_CHECKING:
    from panic_hpc.merging.merge import Merged


class Pictures(StrEnum):
    """What becomes of pictures."""

    copy = "copy"
    reference = "reference"


PANEL = ("The main job", 4)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(merge)


def merge(
    experiments: Annotated[
        list[Path], typer.Argument(metavar="EXP…", help="One experiment's directory, or several.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The dataset; default: dataset.h5 in the experiment."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Compare copies with their sources, runs with digests."
        ),
    ] = True,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Merge what is there; the rest is recorded.")
    ] = False,
    images: Annotated[
        Pictures | None,
        typer.Option(
            "--images",
            help="reference: pictures stay in their shards, to which the dataset refers. Default: "
            "as the experiments' [merge] says, else copy.",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Join all shards into one dataset, with one process or under mpiexec."""
    from panic_hpc.merging.assembling import MergeOptions
    from panic_hpc.merging.ranks import find_ranks
    from panic_hpc.stages.merge.experiments import merge as merge_experiments

    # Under mpiexec every rank gets here; one of them speaks.
    ranks = find_ranks()
    target = output or _default_target(experiments)
    with byte_bar("merge", ranks.rank == 0) as report:
        refer = None if images is None else images is Pictures.reference
        options = MergeOptions(check, allow_missing, force, refer, report=report)
        merged = merge_experiments(experiments, target, options, ranks)
    if ranks.rank == 0:
        _print(merged, as_json)


def _default_target(experiments: list[Path]) -> Path:
    from panic_hpc.paths import ExperimentPaths

    if len(experiments) > 1:
        raise typer.BadParameter("several experiments need --output, the dataset to make")
    return ExperimentPaths(experiments[0]).dataset


def _print(merged: "Merged", as_json: bool) -> None:
    if as_json:
        say_json(asdict(merged) | {"path": str(merged.path)})
        return
    state = "merged" if merged.is_new else "up to date"
    say(f"{merged.path}: {state}, {merged.n_runs} runs, {size(merged.nbytes)}")
    say(f"content key {merged.content_key}")
    if merged.referred_nbytes:
        pictures = size(merged.referred_nbytes)
        say(f"refers to {pictures} of pictures in its shards, and must be moved with them")
    if merged.n_missing:
        warn(f"{merged.n_missing} shards were missing; the dataset lists them in its metadata")
    if merged.n_incomplete:
        warn(
            f"{merged.n_incomplete} diagrams are incomplete (stopped by time or memory); they are "
            "left out of the content key. `panic-hpc status` names their shards"
        )
