"""Models by name as rows of data: a table a name, its settings beside what is true of the model.

The rows that come with the package lie in `known/`, a file a kind; an experiment's own, in its
`[models.NAME]` tables or its `models_file`, have the same form and are checked by the same class.
Settings are whatever the row's family declares, so they are checked where the family is known.
"""

import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from panic_hpc.types import ModelEntry

COMMIT = r"^[0-9a-f]{40}\z"
FOLDER = Path(__file__).parent

TIMINGS = {
    "measured": "measured by upstream on an RTX 6000 Ada",
    "estimated": "estimated for an H100 from operation counts",
    "guessed": "a rough guess",
}


def _printable(value: object) -> object:
    if isinstance(value, str) and value and value.isprintable():
        return value
    raise PydanticCustomError("text", "a text was expected")


def _seconds(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**9:
        return value
    raise PydanticCustomError("seconds", "a positive number of seconds an item")


Text = Annotated[str, BeforeValidator(_printable), Field(max_length=1000)]
Listed = Strict(False)


class ModelRow(BaseModel):
    """What may be said of a model beside its settings; see `ModelEntry` for what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    family: Text = ""
    base: Text = ""
    architecture: Text = ""
    repository: Text = ""
    revision: Text = ""
    ref: Text = ""
    path: Text = ""
    licence: Text = ""
    gated: bool | None = None
    needs: Annotated[tuple[Text, ...], Listed] = ()
    gb: Annotated[float, Field(gt=0, lt=10**6)] | None = None
    seconds: Annotated[float, BeforeValidator(_seconds)] = 1.0
    note: Text = ""


class KnownRow(ModelRow):
    """A row of the package: what was found out about a model, or why it cannot be loaded.

    A row has either a family, which says what it consumes and produces, or `unavailable`.
    """

    revision: Annotated[str, StringConstraints(pattern=f"{COMMIT}|^\\z")] = ""
    timing: Literal["measured", "estimated", "guessed"] = "guessed"
    tried: Literal["", "class"] = ""
    consumes: Text = ""
    produces: Text = ""
    unavailable: Text = ""


LABELS = ("path", "licence", "gated", "needs", "gb", "seconds", "note", "architecture")
"""Keys that are true of one machine or for people, so that no key is made of them."""


def split_row(
    table: Mapping[str, Any], settings: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (keys of a row, settings) of a table; what a family calls a setting is one."""
    own = {k: v for k, v in table.items() if k in ModelRow.model_fields and k not in settings}
    return own, {key: value for key, value in table.items() if key not in own}


@cache
def known_rows() -> Mapping[str, tuple[KnownRow, Mapping[str, Any]]]:
    """Return {name: (row, settings)} of the rows that come with the package, settings unchecked.

    ValueError where a file in `known/` is wrong, or two of them know one name.
    """
    rows: dict[str, tuple[KnownRow, Mapping[str, Any]]] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if name in rows:
                raise ValueError(f"{path.name}: {name} is the name of another row")
            own = {key: value for key, value in table.items() if key in KnownRow.model_fields}
            settings = {key: value for key, value in table.items() if key not in own}
            rows[name] = KnownRow.model_validate(own), settings
    return MappingProxyType(rows)


def entry_of(
    name: str, row: KnownRow, settings: Mapping[str, Any], modalities: tuple[str, str]
) -> ModelEntry:
    """Return what is known of a model, given what it consumes and produces."""
    return ModelEntry(
        name,
        *modalities,
        repository=row.repository,
        revision=row.revision,
        defaults=settings,
        seconds=row.seconds,
        timing=TIMINGS[row.timing],
        unavailable=row.unavailable,
        ref=row.ref,
        licence=row.licence,
        gated=row.gated,
        needs=row.needs,
        gb=row.gb,
        architecture=row.architecture,
        tried=row.tried,
        note=row.note,
    )
