"""The [stages.X] tables of an experiment: each stage's own settings, checked by its own class.

A stage may also be told by its name alone: `[X]`, or whatever its class makes a table of.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from panic_hpc import installed
from panic_hpc.errors import nearest
from panic_hpc.validation.problems import Place, dotted, explained, shown

ALIASES: Mapping[str, str] = {"diagrams": "homology"}
"""Stages whose settings have a table of another name, which every manifest has had from the first.

[stages.diagrams] is read as [homology], so that one experiment has one key however it is written.
"""

CALLED: Mapping[str, str] = {"capture": "activations"}
"""What tables of stages may be called in files instead of their stage's name."""


def with_stage_tables(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return an experiment's table with complete [stages.X] tables, and what is wrong with them.

    What a table leaves out is filled in by its stage's defaults, which an update may change.
    """
    given, problems = _given(table)
    if not given:
        return {key: value for key, value in table.items() if key not in _told(table)}, problems
    known = {name: stage.settings for name, stage in installed.plugins("stages").items()}
    complete = {k: v for k, v in table.items() if k != "stages" and k not in _told(table)}
    tables: dict[str, Any] = {}
    for name, settings in given.items():
        alias = ALIASES.get(name)
        if alias is None:
            word = next((word for word, stage in CALLED.items() if stage == name), name)
            place = next(((key,) for key in (name, word) if key in table), ("stages", name))
            tables[name], found = _checked(name, place, settings, known)
            problems += found
        elif alias in table:
            problems.append(f"{alias} and stages.{name}: two names of one table, give one of them")
        else:
            complete[alias] = settings
    return {**complete, **({"stages": tables} if tables else {})}, problems


def _told(table: Mapping[str, Any]) -> list[str]:
    """Return the keys of a table that are names of stages, or what these may be called."""
    return [key for key in table if key in CALLED or key in installed.names("stages")]


def _given(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what is told to each stage, wherever it stands, and what is told twice."""
    below = table.get("stages")
    given = dict(below) if isinstance(below, Mapping) else {}
    own: dict[str, Any] = {}
    twice: list[str] = []
    for name in _told(table):
        stage = CALLED.get(name, name)
        twice += [f"{name} and {stage}: one table, give it once"] if stage in own else []
        own[stage] = table[name]
    twice += [f"{n} and stages.{n}: one table, give it once" for n in own if n in given]
    return {**given, **own}, twice


def _checked(
    name: str, place: Place, settings: Any, known: Mapping[str, type[BaseModel] | None]
) -> tuple[dict[str, Any], list[str]]:
    if name not in known:
        return {}, [f"stages.{name}: there is no such stage. {nearest(name, known)}".rstrip()]
    kind = known[name]
    if kind is None:
        return {}, [f"{dotted(place)} = {shown(settings)}: this stage has nothing to set"]
    try:
        return kind.model_validate(settings).model_dump(mode="json"), []
    except ValidationError as error:
        return {}, explained(error, place, kind.model_fields)
