"""`panic-hpc models check`: whether models load here, and give the bits that they should."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.models.checks.trial import Checked, CheckRequest
    from panic_hpc.types import ModelSpec

MARKS = {True: "yes", False: "NO", None: "-"}


def check_models(
    subject: Annotated[
        str, typer.Argument(metavar="EXP|NAME", help="An experiment's models, or one by name.")
    ],
    depth: Annotated[
        str, typer.Option(help="files: are they there; load: two loads; bits: calls compared.")
    ] = "bits",
    device: Annotated[str, typer.Option(help="cpu or cuda; default: a GPU if there is one.")] = "",
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also try batch sizes, and each setting's effect.")
    ] = False,
    cluster: Annotated[str, typer.Option(help="With the cache that its jobs read.")] = "",
    as_json: Json = False,
) -> None:
    """Try models on this machine, and write down what was found for plan and submit to read.

    A depth includes those before it. What fails on every machine that it was tried on is not
    submitted. Exit code 1 where something failed.
    """
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.cli.models.fetching import cache_of
    from panic_hpc.models.checks.trial import CheckRequest, require_depth

    asked = CheckRequest(require_depth(depth), device or _device(), sweep)
    cache = cache_of(cluster)
    specs = [spec for spec in _specs(subject) if spec.family]
    found = {spec.name: _checked(spec, asked, cache, as_json) for spec in specs}
    if as_json:
        say_json({name: [asdict(one) for one in outcomes] for name, outcomes in found.items()})
    if any(one.passed is False for outcomes in found.values() for one in outcomes):
        raise typer.Exit(1)


def _specs(subject: str) -> "Sequence[ModelSpec]":
    from panic_hpc.planning.locking import lockable, model_by_name

    path = Path(subject)
    return lockable(path).plan.specs if path.exists() else (model_by_name(subject),)


def _device() -> str:
    from panic_hpc.models.torch_setup import has_gpu

    return "cuda" if has_gpu() else "cpu"


def _checked(
    spec: "ModelSpec", asked: "CheckRequest", cache: Path, as_json: bool
) -> "list[Checked]":
    from panic_hpc.cli.console.output import err, say
    from panic_hpc.models.checks import records
    from panic_hpc.models.checks.trial import check
    from panic_hpc.models.numerics import numerics_class
    from panic_hpc.models.torch_setup import fix_threads

    # As workers have it: with more, an item's bits may depend on its slot.
    fix_threads(1)
    with err.status(f"{spec.name} …") as status:
        outcomes = check(spec, asked, lambda what: status.update(f"{spec.name}: {what} …"))
    # What is not there yet is no finding about the model.
    if asked.depth != "files" and outcomes[0].passed:
        records.keep(spec, asked.depth, numerics_class(asked.device), outcomes, cache)
    if not as_json:
        say(f"{spec.name} on {asked.device}")
        for one in outcomes:
            say(f"  {MARKS[one.passed]:<4}{one.question}: {one.answer}")
    return outcomes
