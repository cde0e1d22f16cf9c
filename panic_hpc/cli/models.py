"""`panic-hpc models`: the models that experiments may name."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.types import ModelEntry, ModelSpec

PANEL = ("What there is to run on and with", 1)

COLUMNS = ("model", "turns", "into", "family", "seconds", "loads", "from")
WIDE = 110


def register(app: typer.Typer) -> None:
    """Add the verb and its own."""
    models = typer.Typer(help="The models that experiments may name.", no_args_is_help=True)
    models.command("list")(list_models)
    models.command("fetch")(fetch_models)
    app.add_typer(models, name="models")


def fetch_models(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXP", help="An experiment's file, or its directory.")
    ],
    cluster: Annotated[str, typer.Option(help="Into the cache that its jobs read.")] = "",
    as_json: Json = False,
) -> None:
    """Bring the models of an experiment into the cache, at the revisions that it pins.

    For a login node that reaches the hub: jobs do not. Built-in models and folders need nothing.
    """
    from panic_hpc.cli.console.output import err, say, say_json
    from panic_hpc.models import hub_cache

    cache = _cache_of(cluster)
    specs = [spec for spec in _specs_of(experiment) if spec.repository]
    # Asked first, so that nothing of the hub's client is imported where all is there.
    absent = hub_cache.missing(specs, cache)
    for spec in absent:
        with err.status(f"{spec.name}: {spec.repository} …"):
            hub_cache.fetch(spec, cache)
    if as_json:
        return say_json({"cache": str(cache), "fetched": [spec.name for spec in absent]})
    for spec in specs:
        say(f"{spec.name}  {'fetched' if spec in absent else 'was there'}  {spec.repository}")
    return say(f"{len(specs)} models of a hub are in {cache}")


def _cache_of(cluster: str) -> Path:
    from panic_hpc.backends.slurm.job_environment import model_cache
    from panic_hpc.clusters.profiles import load_cluster, resolved
    from panic_hpc.models.hub_cache import cache_directory

    return model_cache(resolved(load_cluster(cluster))) if cluster else cache_directory()


def _specs_of(experiment: Path) -> "Sequence[ModelSpec]":
    """Return the models of an experiment that is planned, or of a file that could be."""
    from panic_hpc.experiment import catalogue
    from panic_hpc.planning import manifest
    from panic_hpc.planning.plan import PlanOptions, plan_file

    if experiment.is_dir():
        # From the manifest where there is one: the file may have been edited since.
        return manifest.read(experiment).specs
    return plan_file(experiment, catalogue.load(), PlanOptions()).specs


def list_models(
    family: Annotated[str, typer.Option(help="Only the models of this family.")] = "",
    as_json: Json = False,
) -> None:
    """List the models known by name, and the families that load others by repository or path."""
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.experiment import catalogue
    from panic_hpc.installed import lookup

    known = catalogue.load()
    if family:
        lookup(known.families, family, "model family")
    owners = known.owners
    rows = [(owners[n], e) for n, e in known.entries.items() if family in ("", owners[n])]
    if as_json:
        families = {name: _settings(one) for name, one in known.families.items()}
        models = [_described(of, entry) for of, entry in rows]
        say_json({"families": families, "models": models})
    else:
        if rows:
            _print_table(rows)
        if family:
            _print_settings(known.families[family])
        else:
            _print_families(list(known.families))


def _settings(family: Any) -> list[str]:
    return list(family.settings.model_fields)


def _described(family: str, entry: "ModelEntry") -> dict[str, Any]:
    return {
        "name": entry.name,
        "family": family,
        "consumes": entry.consumes,
        "produces": entry.produces,
        "repository": entry.repository,
        "revision": entry.revision,
        "settings": dict(entry.defaults),
        "seconds": entry.seconds,
        "note": entry.note,
        "unavailable": entry.unavailable,
    }


def _print_table(rows: "list[tuple[str, ModelEntry]]") -> None:
    from rich.table import Column, Table

    from panic_hpc.cli.console.output import literal, out

    # A name or family that is cut cannot be typed, so a narrow terminal loses the last column.
    shown = 7 if out.width >= WIDE else 6
    table = Table(*(Column(name, no_wrap=True) for name in COLUMNS[:shown]), box=None)
    for family, entry in rows:
        style = "dim" if entry.unavailable else ""
        table.add_row(*(literal(cell, style) for cell in _cells(family, entry)[:shown]))
    out.print(table)


def _cells(family: str, entry: "ModelEntry") -> tuple[str, ...]:
    note = "not yet" if entry.unavailable else ""
    origin = f"{entry.repository}@{entry.revision[:10]}" if entry.revision else entry.repository
    seconds = f"{entry.seconds:g}"
    return (entry.name, entry.consumes, entry.produces, family, seconds, note, origin)


def _print_families(names: list[str]) -> None:
    from panic_hpc.cli.console.output import say

    say(f"\nFamilies: {', '.join(names)} (--family shows the settings of one)")
    say('Any other model: [models.MyName] with family = "…" and repository + revision, or path')


def _print_settings(family: Any) -> None:
    """Print what a [models.X] table may set, from the family's own declaration."""
    from rich.table import Table

    from panic_hpc.cli.console.output import literal, out

    table = Table("setting", "default", "values", "", box=None)
    for name, schema in family.settings.model_json_schema()["properties"].items():
        default = "" if schema.get("default") is None else str(schema["default"])
        cells = (name, default, _values(schema), schema.get("description", ""))
        table.add_row(*map(literal, cells))
    out.print(table)


def _values(schema: dict[str, Any]) -> str:
    """Return what a setting may be: the choices, or a type and its bounds."""
    for one in schema.get("anyOf", [schema]):
        if "enum" in one or "const" in one:
            return ", ".join(map(str, one.get("enum", [one.get("const")])))
        if one.get("type") != "null":
            bounds = (("minimum", "≥"), ("maximum", "≤"))
            limits = [f"{sign} {one[key]:g}" for key, sign in bounds if key in one]
            return " ".join([str(one.get("type", "")), *limits])
    return ""
