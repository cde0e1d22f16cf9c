"""`panic-hpc steer locations`: what of a model can be listened to and steered."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.models.steering.outline import Outline
    from panic_hpc.types import ModelSpec

HALVES = {
    "uncond-first": "one call: the unconditional half first, then the conditional one",
    "cond-first": "one call: the conditional half first, then the unconditional one",
    "calls": "two calls: the conditional one, then the unconditional one",
}

PASSES = {"steps": "denoising steps", "scales": "scales", "tokens": "ranges of its tokens"}


def locations(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A picture model by its name.")],
    as_json: Json = False,
) -> None:
    """List a model's locations (ffn, ca, block, text), their layers in calling order, and passes.

    Reads configurations only, no weights.
    """
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.models.steering.outline import outline_of
    from panic_hpc.planning.locking import model_by_name

    spec = model_by_name(model)
    outline = outline_of(spec)
    if as_json:
        return say_json(_described(spec, outline))
    return _print(spec, outline)


def _described(spec: "ModelSpec", outline: "Outline") -> dict[str, Any]:
    return {
        "model": spec.name,
        "class": outline.kind,
        "halves": outline.wiring.halves,
        "passes": outline.n_passes,
        "pass": outline.wiring.passes,
        "places": [place._asdict() for place in outline.places],
    }


def _print(spec: "ModelSpec", outline: "Outline") -> None:
    from rich.table import Table

    from panic_hpc.cli.console.output import literal, out, say
    from panic_hpc.models.steering.locations import told

    say(f"{spec.name}, a {outline.kind}", "bold")
    table = Table("location", "layers", "the first is", box=None, padding=(0, 2, 0, 0))
    firsts = {place.location: place for place in reversed(outline.places)}
    for location, layers in outline.layers.items():
        first = firsts[location]
        where = ".".join(part for part in (first.part, first.module) if part)
        table.add_row(location, told(layers), literal(where))
    out.print(table, soft_wrap=False)
    if outline.n_passes:
        word = PASSES[outline.wiring.passes]
        say(f"passes    {told(range(outline.n_passes))} ({word}; `text` has one)")
    else:
        say("passes    as many as its pipeline makes steps (`text` has one)")
    say(f"halves    of guided calls: {HALVES[outline.wiring.halves]}")
    if "ca" not in outline.layers:
        say("There is no ca: its attention is joint, text and picture together")
