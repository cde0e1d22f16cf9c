"""`panic-hpc import …`: upstream's SQLite databases, and chains of texts, made elsewhere."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json, warn
from panic_hpc.plain_text import counted

PANEL = ("The dataset", 1)
SHOWN = 20
DATABASE = "database"


class _DatabaseUnlessNamed(TyperGroup):
    """Reads `import FILE …` as `import database FILE …`, as scripts wrote it before."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_named = not args or args[0] in (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else [DATABASE, *args])


import_ = typer.Typer(
    name="import",
    help="Read what was made elsewhere: a database of upstream's, or chains of texts.",
    no_args_is_help=True,
    cls=_DatabaseUnlessNamed,
)


def register(app: typer.Typer) -> None:
    """Add the verbs under `import`."""
    app.add_typer(import_, name="import")


@import_.command()
def database(
    database: Annotated[
        Path, typer.Argument(metavar="DATABASE", help="An SQLite file of upstream's panic-tda.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The dataset to make.")],
    experiment: Annotated[
        list[str] | None,
        typer.Option(help="Only this experiment, by how its id begins; can be given again."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a dataset of upstream's experiments, of its Python or its Elixir years."""
    from panic_hpc.upstream.importing import import_upstream

    with count_bar("import") as report:
        imported = import_upstream(
            database, output, report, experiments=experiment or (), force=force
        )
    if as_json:
        value = asdict(imported.merged) | {"path": str(output), "problems": imported.problems}
        say_json(value)
        return
    say(f"{output}: {imported.merged.n_runs} runs, content key {imported.merged.content_key}")
    for problem in imported.problems[:SHOWN]:
        warn(problem)
    if len(imported.problems) > SHOWN:
        warn(f"and {len(imported.problems) - SHOWN} more like these")


@import_.command()
def chains(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.jsonl", help="A run, step, text and labels a line.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="EXP", help="The experiment to make.")
    ],
    embedding_model: Annotated[
        list[str] | None,
        typer.Option("--embed", metavar="MODEL", help="An embedding model by name (repeatable)."),
    ] = None,
    network: Annotated[
        str, typer.Option(metavar="LABEL", help="The label that tells networks apart.")
    ] = "",
    group: Annotated[
        str, typer.Option(metavar="LABEL", help="The label of the prompts' paraphrase groups.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make an experiment whose runs are chains of texts; `submit` embeds and merges them."""
    from panic_hpc.recorded.importing import import_chains

    with count_bar("shards") as report:
        imported = import_chains(
            file,
            output,
            network=network,
            group=group,
            embedding_models=embedding_model or (),
            report=report,
        )
    if as_json:
        counts = {"chains": imported.n_chains, "empty": imported.n_empty}
        say_json({"path": str(output), "key": imported.manifest.key, **counts})
        return
    say(f"{output}: {_described(imported)}")
    if imported.n_empty:
        warn(f"{counted(imported.n_empty, 'run')} without a chain, as others have more of a prompt")
    say(f"Next: panic-hpc submit {output}")


def _described(imported: Any) -> str:
    manifest = imported.manifest
    parts = (
        counted(imported.n_chains, "chain"),
        counted(len(manifest.prompts), "prompt"),
        counted(len(manifest.networks), "network"),
        counted(len(manifest.embedding_models), "embedding model"),
    )
    return ", ".join(parts)
