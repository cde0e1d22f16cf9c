"""Which lists among a model's settings are sweeps, and which of their values its family takes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from panic_hpc.keys import content_key
from panic_hpc.validation.problems import Place, dotted, explained, shown

_LISTS = (list, tuple, set, frozenset, Sequence, Collection)


class Axis(NamedTuple):
    """A list that is a sweep: where it stands in its table, its values, what each of them is."""

    place: Place
    values: tuple[Any, ...]
    kind: Any


def sweep_axes(settings: type[BaseModel], table: Mapping[str, Any]) -> Iterator[Axis]:
    """Yield the lists of a table where `settings` take none, or lists of lists, in its order."""
    for key, value in table.items():
        if key in settings.model_fields:
            kind = settings.model_fields[key].rebuild_annotation()
            yield from _axes_in(kind, (key,), value)


def _axes_in(kind: Any, place: Place, value: Any) -> Iterator[Axis]:
    if isinstance(value, list):
        is_list_of_lists = bool(value) and all(isinstance(entry, list) for entry in value)
        if is_list_of_lists or not _takes_list(kind):
            yield Axis(place, tuple(value), kind)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            for part in _kinds_inside(kind, key):
                yield from _axes_in(part, (*place, key), inner)


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield the types that a type may be, without annotations."""
    if get_origin(kind) is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from _alternatives(part)
    else:
        yield kind


def _takes_list(kind: Any) -> bool:
    return any(part is Any or (get_origin(part) or part) in _LISTS for part in _alternatives(kind))


def _kinds_inside(kind: Any, key: str) -> Iterator[Any]:
    """Yield the type of what stands under `key` in a table of a type, nothing where none may."""
    for part in _alternatives(kind):
        if isinstance(part, type) and issubclass(part, BaseModel):
            if key in part.model_fields:
                yield part.model_fields[key].rebuild_annotation()
                return
        elif (get_origin(part) or part) in (dict, Mapping) and get_args(part):
            yield get_args(part)[1]
            return


def valid_values(name: str, axis: Axis) -> tuple[tuple[Any, ...], list[str]]:
    """Return an axis' values that its setting takes, each once, and a line for each other one."""
    place: Place = ("models", name, *axis.place)
    if not axis.values:
        return (), [f"{dotted(place)} = []: empty; a list here is a sweep and needs values"]
    adapter: TypeAdapter[Any] = TypeAdapter(axis.kind)
    valid: dict[str, Any] = {}
    problems: list[str] = []
    for index, value in enumerate(axis.values):
        try:
            # As the families' own settings are checked, so that a value is refused here or nowhere.
            adapter.validate_python(value, strict=True)
            valid.setdefault(content_key([type(value).__name__, value]), value)
        except (ValidationError, ValueError) as error:
            problems += _told(error, (*place, index), value)
    return tuple(valid.values()), problems


def _told(error: Exception, place: Place, value: Any) -> list[str]:
    if not isinstance(error, ValidationError):
        return [f"{dotted(place)} = {shown(value)}: numbers must be finite"]
    # The first of a union's alternatives is enough, and its name no part of the place.
    (line, *_) = explained(error, place)
    return [f"{dotted(place)} = {shown(value)}: {line.partition(': ')[2]}"]
