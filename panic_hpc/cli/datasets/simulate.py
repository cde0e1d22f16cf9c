"""`panic-hpc simulate`: a dataset whose truth is known, to try analyses and to plan experiments."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json
from panic_hpc.plain_text import counted, size

PANEL = ("The dataset", 6)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(simulate)


def simulate(
    target: Annotated[Path, typer.Argument(metavar="FILE.h5", help="The dataset to write.")],
    prompts: Annotated[int, typer.Option(min=1, help="Prompts.")] = 20,
    networks: Annotated[int, typer.Option(min=1, help="Generators times captioners.")] = 4,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each prompt in each network.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="States (captions) of each run.")] = 300,
    dimensions: Annotated[int, typer.Option(min=2, help="Of the embedding.")] = 128,
    tau: Annotated[float, typer.Option(help="Correlation time of the theme, in states.")] = 40.0,
    theme: Annotated[float, typer.Option(min=0, help="Variance of what wanders.")] = 0.16,
    noise: Annotated[float, typer.Option(min=0, help="Variance of each state anew.")] = 0.034,
    offset: Annotated[float, typer.Option(min=0, help="Variance between runs, lasting.")] = 0.06,
    gap: Annotated[float, typer.Option(min=0, help="Variance between prompts.")] = 0.19,
    memory_tau: Annotated[
        float, typer.Option(help="States in which a prompt is forgotten; inf: never.")
    ] = math.inf,
    group_size: Annotated[int, typer.Option(min=1, help="Paraphrases of one meaning.")] = 1,
    generator: Annotated[float, typer.Option(min=0, help="Variance of generators.")] = 0.02,
    captioner: Annotated[float, typer.Option(min=0, help="Variance of captioners.")] = 0.06,
    wells: Annotated[int, typer.Option(min=0, help="Wells that all runs share.")] = 0,
    escape: Annotated[float, typer.Option(help="Mean states in a well; inf: stuck.")] = math.inf,
    missing: Annotated[float, typer.Option(min=0, max=0.99, help="Share of runs missing.")] = 0.0,
    dispersion: Annotated[
        float, typer.Option(min=0, help="How much wider runs of the first generator lie.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a dataset whose truth is planted: what analyses of it should find.

    Variances are cosine distances; docs/analyses.md has the model. To plan an experiment, simulate
    one of its size and look how wide the intervals of `panic-hpc analyse` are.
    """
    from panic_hpc.analysis.simulation.dataset import write_dataset
    from panic_hpc.analysis.simulation.planted import Planted
    from panic_hpc.analysis.simulation.states import network_truth

    planted = Planted(
        prompts=prompts, networks=networks, runs=runs, states=steps, dimensions=dimensions,
        tau=tau, theme=theme, noise=noise, offset=offset, gap=gap, memory_tau=memory_tau,
        group_size=group_size, generator=generator, captioner=captioner, wells=wells,
        escape=escape, missing=missing, dispersion=dispersion, seed=seed,
    )  # fmt: skip
    with count_bar("runs") as report:
        written = write_dataset(planted, target, force=force, report=report)
    truth = _rounded(planted.truth())
    by_network = [_rounded(network_truth(planted, number)) for number in range(networks)]
    if as_json:
        say_json({"dataset": str(target), "content_key": written.content_key, "planted": truth,
                  "planted_by_network": by_network})  # fmt: skip
        return
    say(f"{target}  {size(target.stat().st_size)}  {counted(written.n_runs, 'run')}")
    say("planted: " + ", ".join(f"{name} {value:g}" for name, value in truth.items()))
    if networks > 1:
        lengths = [truth["gap"] / one["gap"] if one["gap"] else 1.0 for one in by_network]
        say(
            f"Divide distances by {min(lengths):.3f} to {max(lengths):.3f} for those of a network, "
            "whose states are scaled by that; --json has them network by network"
        )


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
