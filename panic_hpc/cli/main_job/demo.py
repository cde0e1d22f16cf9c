"""`panic-hpc demo`: a whole experiment with the built-in models, from its file to pictures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.output import literal, out, say

if TYPE_CHECKING:
    from panic_hpc.analysis.summary import NetworkSummary
    from panic_hpc.paths import ExperimentPaths

PANEL = ("The main job", 0)

EXPERIMENT = "demo.toml"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(demo)


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="EXP", help="Where the experiment goes.")
    ] = Path("demo"),
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes; 0: one a GPU, else one a core.")
    ] = 0,
) -> None:
    """Plan, submit and merge a small experiment with the built-in models, then show its shape.

    Interrupted, it goes on where it stopped when typed again.
    """
    import panic_hpc
    from panic_hpc.cli.main_job.plan import print_summary, summary_of
    from panic_hpc.cli.main_job.submission import report_what_is_left
    from panic_hpc.paths import shipped_configs

    workspace = panic_hpc.plan(shipped_configs() / "experiments" / EXPERIMENT, directory)
    print_summary(summary_of(workspace.manifest), workspace.manifest)
    request = panic_hpc.request_for("local", workers=workers)
    panic_hpc.submit(workspace, request, wait=True, progress=True)
    report_what_is_left(workspace, tuple(workspace.stages))
    show(workspace.paths)


def show(paths: "ExperimentPaths") -> None:
    """Print the summary of an experiment's dataset and write its report."""
    import panic_hpc
    from panic_hpc.analysis.summary import summarise
    from panic_hpc.cli.datasets.report import make_report
    from panic_hpc.report.writing import ReportRequest

    with panic_hpc.open(paths.dataset) as dataset:
        _print_table(summarise(dataset))
        say(f"dataset              {dataset.path}")
        say(f"content key          {dataset.content_key}")
    made = make_report(paths.dataset, request=ReportRequest(force=True))
    for name in ("contact_sheet.png", "persistence_diagram.png"):
        if (picture := made.page.with_name(name)).exists():
            say(f"{picture.stem.replace('_', ' '):20} {picture}")
    say(f"{'report':20} {made.page}")


def _print_table(rows: Sequence["NetworkSummary"]) -> None:
    from rich.table import Column, Table

    # On a narrow terminal networks break between models; rich alone would break the numbers.
    widest = max((len(name) for row in rows for name in row.network.split()), default=0)
    network, entropy = Column("network", min_width=widest), Column("entropy", no_wrap=True)
    columns = (network, "noise", "runs", "captions", "loops", entropy)
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            literal(row.network),
            row.noise,
            str(row.runs),
            f"{row.distinct_captions:g}",
            _loops(row.loop_lengths),
            literal(_entropies(row)),
        )
    out.print(table)
    say("captions: median of different ones in a run; loops: runs (lengths in steps)")
    say("entropy: mean of H0, H1, … in nats, - where there is no bar")


def _loops(lengths: Sequence[int]) -> str:
    return f"{len(lengths)} ({', '.join(map(str, sorted(set(lengths))))})" if lengths else "none"


def _entropies(row: "NetworkSummary") -> str:
    return "\n".join(
        f"{model} {' '.join(map(_number, values))}" for model, values in row.entropies.items()
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
