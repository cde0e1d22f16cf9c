"""`panic-hpc report`: what a dataset answers, as a folder to open in a browser."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json, warn

if TYPE_CHECKING:
    from panic_hpc.analysis.records import AnalysisRecord
    from panic_hpc.report.writing import ReportRequest
    from panic_hpc.store.dataset.dataset import Dataset

PANEL = ("The dataset", 1)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(report)


def report(
    source: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A dataset, or an experiment that has one.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder; else beside DATASET.")
    ] = None,
    wants_analyses: Annotated[
        bool,
        typer.Option("--analyse/--no-analyse", help="Run the analyses that were not run yet."),
    ] = True,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with analyses of your own.")
    ] = None,
    points: Annotated[int, typer.Option(min=1, help="States on the map, at most.")] = 100_000,
    pictures: Annotated[int, typer.Option(min=0, help="Pictures in it, at most.")] = 4_000,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a report: the four questions and their answers, figures, tables, and a map to explore.

    Open its index.html in a browser, from a disk or a stick: it asks nobody for anything. Analyses
    that were not run of this content yet are run first.
    """
    from panic_hpc.cli.datasets.export import dataset_path
    from panic_hpc.report.writing import ReportRequest

    request = ReportRequest(most_points=points, most_pictures=pictures, force=force)
    made = make_report(
        dataset_path(source), output, request, script, workers, wants_analyses=wants_analyses
    )
    failed = [record.analysis for record in made.records if record.error]
    if as_json:
        told = {"report": str(made.page), "analyses": len(made.records), "failed": failed}
        say_json(told | ({"away": made.away} if made.away else {}))
        return
    for away in made.away:
        warn(away)
    if failed:
        warn(f"Failed: {', '.join(failed)}; the report says why")
    say(f"{'report':20} {made.page}")


class MadeReport(NamedTuple):
    """A report's first page, what analyses found, and what is told of pictures that are away."""

    page: Path
    records: "Sequence[AnalysisRecord]"
    away: Sequence[str] = ()


def make_report(
    dataset: Path,
    output: Path | None = None,
    request: "ReportRequest | None" = None,
    script: Path | None = None,
    workers: int = 0,
    *,
    wants_analyses: bool = True,
) -> MadeReport:
    """Run the analyses of a dataset that were not run of its content yet, and write its report."""
    from panic_hpc.analysis.records import analyses_directory
    from panic_hpc.analysis.running import available
    from panic_hpc.report.writing import write_report
    from panic_hpc.store.dataset.dataset import open_dataset

    directory = output or report_directory(dataset)
    found_in = analyses_directory(dataset)
    if wants_analyses and output is not None and not os.access(dataset.parent, os.W_OK):
        # As of a dataset that a group shares: results then lie beside the report.
        found_in = output.with_name(f"{output.name}.analyses")
    away: list[str] = []
    # Opened once: a report shows pictures and results of one dataset, whatever takes its place.
    with open_dataset(dataset) as opened:
        records = _records(opened, found_in, script, workers, wants_analyses)
        with count_bar("report") as moved:
            known = available(script)
            page = write_report(opened, directory, records, known, request, moved, away.append)
    return MadeReport(page, records, away)


def report_directory(dataset: Path) -> Path:
    """Return where the report of a dataset goes: an experiment's own folder for it, or beside."""
    from panic_hpc.paths import ExperimentPaths

    paths = ExperimentPaths(dataset.parent)
    is_experiments = paths.manifest.exists() and dataset.name == paths.dataset.name
    return paths.report if is_experiments else dataset.with_name(f"{dataset.stem}.report")


def _records(
    dataset: "Dataset", directory: Path, script: Path | None, workers: int, wants_analyses: bool
) -> "list[AnalysisRecord]":
    """Return what analyses found of this content, those that were run just now among them.

    They lie in `directory`.
    """
    from panic_hpc.analysis.records import read_records
    from panic_hpc.analysis.running import AnalysisRequest, analyse, available

    if wants_analyses:
        names = tuple(available(script))
        with count_bar("analyses") as moved:
            request = AnalysisRequest(
                names=names, script=script, directory=directory, workers=workers
            )
            analyse(dataset.path, request, moved)
    return read_records(directory, dataset.content_key)
