"""`panic-hpc steer response`: what becomes of a loop that was steered for a while."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.analysis.comparing.response import Response


def response(
    source: Annotated[
        Path, typer.Argument(metavar="EXP", help="An experiment that steers, or its dataset.")
    ],
    measure: Annotated[
        str, typer.Option("--measure", "-m", help="Of single outputs: scene.square, twin.MODEL.")
    ],
    as_json: Json = False,
) -> None:
    """Show a measure step by step, of steered runs and of their unsteered twins.

    A twin is the run of the same prompt and seed in the network without steering. Steps at which
    the model is steered are marked.
    """
    from panic_hpc.analysis.comparing.response import responses
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.cli.datasets.compare import opened
    from panic_hpc.disk.files import without_nan

    with opened(source) as dataset:
        found = responses(dataset, measure)
    if as_json:
        return say_json({"responses": [without_nan(asdict(one)) for one in found]})
    for one in found:
        _print(one)
    return None


def _print(found: "Response") -> None:
    from panic_hpc.cli.console.output import columns, out, say

    say(f"{found.measure}, {found.network}", "bold")
    say(f"beside {found.twin}; * steered")
    head = ("iteration", "step", "steered", "twin", "difference", "95% interval", "pairs")
    table = columns(*head)
    for point in found.points:
        gap = point.difference
        has_interval = gap is not None and not math.isnan(gap.low)
        table.add_row(
            f"{'* ' if point.is_steered else ''}{point.iteration}",
            str(point.step),
            _number(point.mean),
            _number(point.twin),
            "" if gap is None else f"{gap.mean:+.3f}",
            f"{gap.low:+.3f} to {gap.high:+.3f}" if gap and has_interval else "",
            str(point.n_pairs),
        )
    out.print(table, soft_wrap=False)


def _number(value: float) -> str:
    # + 0.0: a distance of two equal pictures may come out as the smallest number below 0.
    return "" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"
