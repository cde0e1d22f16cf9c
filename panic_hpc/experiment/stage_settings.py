"""The [stages.X] tables of an experiment: each stage's own settings, checked by its own class."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from panic_hpc import installed
from panic_hpc.errors import nearest
from panic_hpc.validation.problems import explained, shown

ALIASES: Mapping[str, str] = {"diagrams": "homology"}
"""Stages whose settings have a table of another name, which every manifest has had from the first.

[stages.diagrams] is read as [homology], so that one experiment has one key however it is written.
"""


def with_stage_tables(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return an experiment's table with complete [stages.X] tables, and what is wrong with them.

    What a table leaves out is filled in by its stage's defaults, which an update may change.
    """
    given = table.get("stages")
    if not isinstance(given, Mapping) or not given:
        return dict(table), []
    known = {name: stage.settings for name, stage in installed.plugins("stages").items()}
    complete = {key: value for key, value in table.items() if key != "stages"}
    tables: dict[str, Any] = {}
    problems: list[str] = []
    for name, settings in given.items():
        alias = ALIASES.get(name)
        if alias is None:
            tables[name], found = _checked(name, settings, known)
            problems += found
        elif alias in table:
            problems.append(f"{alias} and stages.{name}: two names of one table, give one of them")
        else:
            complete[alias] = settings
    return {**complete, **({"stages": tables} if tables else {})}, problems


def _checked(
    name: str, settings: Any, known: Mapping[str, type[BaseModel] | None]
) -> tuple[dict[str, Any], list[str]]:
    if name not in known:
        return {}, [f"stages.{name}: there is no such stage. {nearest(name, known)}".rstrip()]
    kind = known[name]
    if kind is None:
        return {}, [f"stages.{name} = {shown(settings)}: this stage has nothing to set"]
    try:
        return kind.model_validate(settings).model_dump(mode="json"), []
    except ValidationError as error:
        return {}, explained(error, ("stages", name), kind.model_fields)
