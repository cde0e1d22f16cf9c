"""`panic-hpc search`: rounds of experiments that look for the best settings."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.options import ClusterName, ExecutorName, Json, Workers
from panic_hpc.cli.console.output import literal, out, say, say_json
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from panic_hpc.search.driving import Trial
    from panic_hpc.search.search_file import Search

PANEL = ("The main job", 20)
MOST_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(search)


def search(
    file: Annotated[Path, typer.Argument(metavar="SEARCH", help="A search's file, in TOML.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where its rounds lie.")],
    cluster: ClusterName = "local",
    executor: ExecutorName = "local",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Search for the settings that are best under a measure: experiments in rounds, to the end.

    Whatever ended it, the same command goes on where it was.
    """
    from panic_hpc.backends.base import request_for
    from panic_hpc.cli.main_job.submission import executor_named
    from panic_hpc.search.driving import advance, best_first
    from panic_hpc.search.search_file import read_search

    found, base = read_search(file)
    request = request_for(cluster, executor=executor_named(executor), workers=workers)
    tell = (lambda text: None) if as_json else say
    trials = advance(directory, found, base, request, progress=not as_json, tell=tell)
    ranked = best_first(found, trials)
    if as_json:
        say_json({"measure": found.measure, "trials": [asdict(one) for one in ranked]})
        return
    _print(found, ranked)


def _print(search: "Search", ranked: "list[Trial]") -> None:
    from rich.table import Table

    n_failed = sum(one.value is None for one in ranked)
    word = "largest" if search.maximise else "smallest"
    told = f"{search.measure}, the {word} of {counted(len(ranked), 'trial')}"
    say(f"{told}{f', {n_failed} of them without a value' if n_failed else ''}", "bold")
    table = Table(
        "value", "trial", "round", *search.space, box=None, padding=(0, 2, 0, 0), pad_edge=False
    )
    for one in ranked[:MOST_SHOWN]:
        settings = [literal(_shown(one.settings[name])) for name in search.space]
        value = "" if one.value is None else f"{one.value:.4g}"
        table.add_row(value, str(one.number), str(one.round), *settings)
    out.print(table, soft_wrap=False)
    say("These are the luckiest of many: run the best ones again with other seeds, and compare")


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
