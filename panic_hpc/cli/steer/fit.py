"""`panic-hpc steer fit`: from captured activations to a file of prototypes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Force, Json

if TYPE_CHECKING:
    from panic_hpc.stages.activations.prototypes import Fitted


def fit(
    source: Annotated[
        Path, typer.Argument(metavar="EXP", help="An experiment that captured, or its dataset.")
    ],
    away: Annotated[str, typer.Option("--from", help="The group of prompts to steer away from.")],
    towards: Annotated[str, typer.Option("--to", help="The group to steer towards.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.npz")],
    model: Annotated[str, typer.Option(help="Which model, where several were captured.")] = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit prototypes of two groups of prompts, and say where held-out prompts are told apart.

    Separation is the share of pictures that lie nearer to the mean of their own group, made of
    other prompts: 0.5 is chance. What separates need not steer: try it.
    """
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.cli.datasets.compare import opened
    from panic_hpc.disk.files import replace_file, without_nan
    from panic_hpc.disk.overwriting import admit
    from panic_hpc.models.steering.prototypes import to_bytes
    from panic_hpc.stages.activations.prototypes import fit as fit_prototypes

    with opened(source) as dataset:
        admit(output, [dataset.path], force=force)
        fitted = fit_prototypes(dataset, (away, towards), model)
    replace_file(output, to_bytes(fitted.prototypes))
    if as_json:
        return say_json(without_nan(_described(fitted, output)))
    return _print(fitted, output)


def _described(fitted: "Fitted", output: Path) -> dict[str, Any]:
    return {
        "file": str(output),
        **fitted.prototypes.header.model_dump(mode="json"),
        "separation": [
            {"location": where, "layer": layer, "by_pass": one.right.tolist(), "n": one.n}
            for (where, layer), one in fitted.separations.items()
        ],
    }


def _print(fitted: "Fitted", output: Path) -> None:
    from panic_hpc.cli.console.output import columns, out, say, warn
    from panic_hpc.plain_text import counted

    header = fitted.prototypes.header
    sizes = " and ".join(
        f"{group} ({counted(n, 'prompt')})"
        for group, n in zip(header.classes, header.n_prompts, strict=True)
    )
    say(f"{header.model}: {sizes}", "bold")
    head = ("location", "layer", "separation", "best pass")
    table = columns(*head, left=("location",))
    for (where, layer), one in fitted.separations.items():
        best = "" if one.right.size == 1 else f"{one.right.max():.2f} at {int(one.right.argmax())}"
        table.add_row(where, str(layer), f"{one.right.mean():.2f}", best)
    out.print(table, soft_wrap=False)
    if min(header.n_prompts) < 2:
        warn("A group of one prompt: nothing is held out, so that nothing is known of separation")
    say(f"written to {output}")
