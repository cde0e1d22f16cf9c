"""`panic-hpc models list`: the models known by name, and the families that load others."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.types import ModelEntry

COLUMNS = ("model", "consumes", "produces", "GB", "gated", "tried", "needs", "licence", "family")
NARROW, WIDE = 7, 140
"""Columns that a terminal of 80 has room for, and the width from which there is room for all."""

TRIED = {"": "no", "class": "class", "weights": "yes"}


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
        return say_json({"families": families, "models": models})
    _print_table([row for row in rows if not row[1].unavailable])
    if family:
        return _print_settings(known.families[family])
    _print_unavailable([entry for _, entry in rows if entry.unavailable])
    return _print_families(list(known.families))


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
        "ref": entry.ref,
        "settings": dict(entry.defaults),
        "seconds": entry.seconds,
        "timing": entry.timing,
        "licence": entry.licence,
        "gated": entry.gated,
        "needs": list(entry.needs),
        "gb": entry.gb,
        "architecture": entry.architecture,
        "tried": entry.tried,
        "note": entry.note,
        "unavailable": entry.unavailable,
    }


def _print_table(rows: "list[tuple[str, ModelEntry]]") -> None:
    from rich.table import Column, Table

    from panic_hpc.cli.console.output import literal, out

    # A name that is cut cannot be typed, so a narrow terminal loses the last columns.
    shown = len(COLUMNS) if out.width >= WIDE else NARROW
    columns = (Column(name, no_wrap=name != "needs") for name in COLUMNS[:shown])
    table = Table(*columns, box=None, pad_edge=False)
    for family, entry in rows:
        table.add_row(*(literal(cell) for cell in _cells(family, entry)[:shown]))
    if rows:
        out.print(table)


def _cells(family: str, entry: "ModelEntry") -> tuple[str, ...]:
    gated = {True: "yes", False: "no", None: "?"}[entry.gated] if entry.repository else "no"
    size = f"{entry.gb:.1f}" if entry.gb else ("?" if entry.repository else "-")
    licence = entry.licence or ("?" if entry.repository else "")
    tried = TRIED[entry.tried] if entry.repository else "yes"
    head = (entry.name, entry.consumes, entry.produces, size, gated, tried)
    return (*head, ", ".join(entry.needs), licence, family)


def _print_unavailable(entries: "list[ModelEntry]") -> None:
    from rich.table import Column, Table

    from panic_hpc.cli.console.output import literal, out, say

    say("\nCannot be loaded, and why:")
    table = Table(Column(no_wrap=True), Column(), show_header=False, box=None, padding=(0, 0, 0, 2))
    for entry in entries:
        table.add_row(literal(entry.name), literal(entry.unavailable))
    out.print(table)


def _print_families(names: list[str]) -> None:
    from panic_hpc.cli.console.output import literal, out

    for line in (
        f"\nFamilies: {', '.join(sorted(names))} (--family shows the settings of one)",
        'Any other model: [models.MyName] with family = "…" and repository (+ revision), or path',
    ):
        out.print(literal(line), soft_wrap=False)


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
