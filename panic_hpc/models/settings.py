"""Settings of model families, and how they enter a model's identity as families grow.

Every setting is part of the identity, its default too. One that a family was given later would so
give every model of the family a new key though nothing about it changed; it says what its absence
means, and has no part in the identity where it says that:

    steps: int = 20                                       # there from the start
    tiles: Annotated[int, AddedLater(1)] = 1              # before, there was one tile

What decides no output, such as where a server is or how long it is waited for, is a `Label`: no
part of the identity either, and changed without another plan.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from panic_hpc.disk.files import sha256_of
from panic_hpc.errors import ModelError
from panic_hpc.types import ModelSpec

Settings = TypeVar("Settings", bound=BaseModel)

CLOSED = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
"""Of tables within settings: no unknown keys, nothing converted."""


@dataclass(frozen=True, slots=True)
class AddedLater:
    """Marks a setting that its family did not have at first.

    `before` is the JSON value that means what models did without it. It stays when the default is
    changed: models planned earlier go on doing it.
    """

    before: Any


@dataclass(frozen=True, slots=True)
class Label:
    """Marks a setting that decides no output."""


def labels_of(settings: BaseModel) -> dict[str, Any]:
    """Return the settings that decide no output."""
    return settings.model_dump(mode="json", include=set(_labels(type(settings))))


@dataclass(frozen=True, slots=True)
class Located:
    """Marks a setting that names a file, "" for none: its contents are part of the identity.

    Of a table those entries are meant that `file_at` knows.
    """


class FileAt(NamedTuple):
    """A file as a table of settings has it: "sha256:…" of its bytes, and its absolute path."""

    digest: str
    path: str


_FILE_AT = re.compile(r"(sha256:[0-9a-f]{64}):(/.+)", re.DOTALL)


def file_at(value: object) -> FileAt | None:
    """Return the file in "sha256:…:/PATH", None for anything else.

    With its digest, a path cannot be made up: who knows the one has the contents.
    """
    match = _FILE_AT.fullmatch(value) if isinstance(value, str) else None
    return FileAt(match[1], match[2]) if match else None


def located_files(settings: BaseModel) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (place, name) of every file that settings name, in nested tables too."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from (((name, *place), file) for place, file in located_files(value))
        elif value and any(isinstance(mark, Located) for mark in field.metadata):
            yield from _files_in(name, value)


def _files_in(name: str, value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(value, Mapping):
        yield (name,), value
        return
    for key, inner in value.items():
        if file := file_at(inner):
            yield (name, key), file.path


def located(spec: ModelSpec, digest: str) -> Path:
    """Return the file of a digest that a model's settings name, known to be unchanged."""
    path = Path(dict(spec.files).get(digest, ""))
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}, a file of {spec.name}, cannot be read ({error})") from error
    if found != digest:
        raise ModelError(
            f"{path}, a file of {spec.name}, is another one than was planned with",
            hint="Plan the experiment anew in a new directory",
        )
    return path


def identity_of(settings: BaseModel) -> dict[str, Any]:
    """Return the settings, `batch_size` among them, that are part of a model's identity."""
    before = dict(_added_later(type(settings)))
    # Every other setting, defaults too: a default that changes in an update makes another model,
    # not another result under an old key.
    values = settings.model_dump(mode="json", exclude=set(_labels(type(settings))))
    return {
        name: value for name, value in values.items() if name not in before or value != before[name]
    }


def settings_of(spec: ModelSpec, kind: type[Settings]) -> Settings:
    """Return the settings of a model as planned, by this or an earlier version of its family."""
    before = dict(_added_later(kind))
    told = {**spec.settings, **spec.labels, "batch_size": spec.batch_size}
    return kind.model_validate({**before, **told})


def _labels(kind: type[BaseModel]) -> list[str]:
    fields = kind.model_fields.items()
    return [name for name, one in fields if any(isinstance(m, Label) for m in one.metadata)]


def _added_later(kind: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in kind.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, AddedLater):
                yield name, mark.before


def wrong(problem: str) -> PydanticCustomError:
    """Return the error whose message is `problem` and nothing else, whatever braces it holds."""
    # pydantic formats the template; a prompt with braces would be read as a field.
    return PydanticCustomError("problem", "{problem}", {"problem": problem})


def first_problem(error: ValidationError) -> str:
    """Return the first thing that a file's contents have wrong, and where."""
    found = error.errors()[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
