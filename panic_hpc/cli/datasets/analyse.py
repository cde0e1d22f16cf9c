"""`panic-hpc analyse`: the questions, answered from a dataset, with tables beside it."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Json
from panic_hpc.cli.console.output import out, say, say_json, warn
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from panic_hpc.analysis.base import Analysis
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
    full: Annotated[
        bool, typer.Option("--full", help="Every sentence of all analyses; of NAMEs as usual.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer questions from a dataset: sentences here, tables and records beside it.

    Of all analyses the answer is printed, of those that are named every sentence.

    What was computed of the same content with the same settings is not computed again. Exit code 1:
    an analysis failed.
    """
    from panic_hpc.analysis.running import AnalysisRequest
    from panic_hpc.analysis.running import analyse as run_analyses
    from panic_hpc.analysis.settings import parse_settings
    from panic_hpc.cli.datasets.export import dataset_path

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
    if as_json:
        _print_json(records)
    elif full or names or script:
        _print_full(records)
    else:
        print_answers(records, source)
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


def _print_json(records: "list[AnalysisRecord]") -> None:
    from panic_hpc.analysis.records import as_json

    say_json([{**as_json(one), "folder": str(one.folder)} for one in records])


def _by_question(records: "list[AnalysisRecord]") -> "Iterator[AnalysisRecord]":
    """Yield the records, and say each question before its first."""
    question = ""
    for record in records:
        if record.question != question:
            question = record.question
            say(question, "bold")
        yield record


def print_answers(records: "list[AnalysisRecord]", source: Path) -> None:
    """Print of each record its name, its seconds and the answer, and where all the rest is."""
    from panic_hpc.analysis.running import available

    known = available()
    models = {record.model for record in records if record.model}
    for record in _by_question(records):
        told, style = _answer(record, known[record.analysis])
        model = f"in {record.model}: " if record.model and len(models) > 1 else ""
        _say_beside(f"{record.analysis:17} {_how_long(record):>6}", model + told, style)
        if record.error:
            warn(f"  failed: {record.error}")
    folders = [record.folder for record in records if record.folder]
    if folders:
        say(f"Tables: {folders[0].parent.parent}/ANALYSIS/MODEL; tests: tests.csv there")
    say(f"Every sentence: panic-hpc analyse {source} --full, or one ANALYSIS of these by name")


def _answer(record: "AnalysisRecord", analysis: "Analysis") -> tuple[str, str]:
    """Return what an analysis says in a sentence, or why it does not, and the style of it."""
    if record.error:
        return "failed", "yellow"
    if answer := analysis.answer(record.result):
        return answer.sentence, ""
    reasons = [f"not done: {one.what}: {one.why}" for one in record.result.not_done]
    return (reasons[0], "yellow") if reasons else ("see its tables", "")


def _say_beside(beginning: str, text: str, style: str) -> None:
    """Print a text in a column of its own, as wide as the terminal lets it be."""
    indent = " " * (len(beginning) + 4)
    width = max(out.width, len(indent) + 30)
    lines = textwrap.wrap(text, width - len(indent)) or [""]
    say(f"  {beginning}  {lines[0]}", style)
    for line in lines[1:]:
        say(indent + line, style)


def _how_long(record: "AnalysisRecord") -> str:
    return "before" if record.is_cached else f"{record.seconds:.1f} s"


def _print_full(records: "list[AnalysisRecord]") -> None:
    for record in _by_question(records):
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
