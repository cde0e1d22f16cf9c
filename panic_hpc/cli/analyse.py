"""`panic-hpc analyse`: the questions, answered from a dataset, with tables beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Json
from panic_hpc.cli.console.output import say, say_json, warn
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from panic_hpc.analysis.records import AnalysisRecord

PANEL = ("The dataset", 1)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(analyse)


def analyse(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="DATASET", help="A dataset, or an experiment that has one."),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Analyses; all where none.")
    ] = None,
    wants_list: Annotated[bool, typer.Option("--list", help="List the analyses.")] = False,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with analyses of your own.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME.SETTING=VALUE", help="Change a setting (repeatable)."),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Only this embedding model (repeatable).")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where results go; else beside DATASET.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute what is there again.")] = False,
    as_json: Json = False,
) -> None:
    """Answer questions from a dataset: sentences here, tables and records beside it.

    What was computed of the same content with the same settings is not computed again. Exit code 1:
    an analysis failed.
    """
    from panic_hpc.analysis.running import AnalysisRequest
    from panic_hpc.analysis.running import analyse as run_analyses
    from panic_hpc.analysis.settings import parse_settings
    from panic_hpc.cli.export import dataset_path

    if wants_list or source is None:
        _list(script, as_json, wants_list)
        return
    request = AnalysisRequest(
        names=names or (),
        settings=parse_settings(settings or ()),
        models=models or (),
        script=script,
        directory=output,
        workers=workers,
        fresh=fresh,
    )
    with count_bar("analyses") as report:
        records = run_analyses(dataset_path(source), request, report)
    _print(records, as_json)
    if any(record.error for record in records):
        raise typer.Exit(exit_codes.ERROR)


def _list(script: Path | None, as_json: bool, is_asked: bool) -> None:
    from panic_hpc.analysis.running import available

    if not is_asked:
        raise typer.BadParameter("name a dataset, or ask for --list", param_hint="DATASET")
    known = available(script)
    if as_json:
        say_json(
            [
                {"name": one.name, "question": one.question, "asks": one.asks,
                 "settings": one.settings().model_dump(mode="json")}
                for one in known.values()
            ]
        )  # fmt: skip
        return
    question = ""
    for one in known.values():
        if one.question != question:
            question = one.question
            say(question, "bold")
        say(f"  {one.name:14} {one.asks}")


def _print(records: "list[AnalysisRecord]", as_json: bool) -> None:
    from panic_hpc.analysis.records import as_json as to_json

    if as_json:
        say_json([{**to_json(one), "folder": str(one.folder)} for one in records])
        return
    question = ""
    for record in records:
        if record.question != question:
            question = record.question
            say(question, "bold")
        _print_record(record)


def _print_record(record: "AnalysisRecord") -> None:
    found = record.result
    how = "from before" if record.is_cached else f"{record.seconds:.1f} s"
    model = f" in {record.model}" if record.model else ""
    say(f"{record.analysis}{model} ({how}): {record.folder}")
    for statement in found.statements:
        subject = f"{statement.subject}: " if statement.subject else ""
        say(f"  {subject}{statement.sentence}")
    for one in found.not_done:
        say(f"  not done: {one.what}: {one.why}", "yellow")
    if found.tests:
        say(f"  {counted(len(found.tests), 'test')} in tests.csv")
    if record.error:
        warn(f"  failed: {record.error}")
