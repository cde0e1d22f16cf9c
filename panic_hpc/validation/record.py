"""Records that this package wrote and reads again: JSON checked as a whole against a dataclass.

A record lies where others may write. It is what its dataclass says, or refused in one sentence;
nothing is looked up in JSON that was not checked.
"""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from panic_hpc.disk.files import JSON_LIMIT_BYTES, read_json
from panic_hpc.errors import PanicError
from panic_hpc.validation.problems import explained

Record = TypeVar("Record")

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of things: whole in JavaScript too, and sums of millions of them fit into 64 bits."""
Moment = Annotated[float, Field(ge=0, le=2**36)]
"""Seconds since the epoch, such that every calendar can show it: until the year 4147."""

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def as_record(kind: type[Record], value: Any) -> Record:
    """Return a JSON value as the dataclass `kind`; ValueError says what is wrong with it."""
    try:
        # As text, since only from JSON does strict pydantic take a list for a tuple.
        [record] = _adapter(cast(Any, kind)).validate_json(json.dumps([value]))
    except ValidationError as error:
        told = [line.removeprefix("[0]").removeprefix(".") for line in explained(error, ())[:3]]
        raise ValueError("; ".join(told)) from None
    return cast(Record, record)


def read_record(kind: type[Record], path: Path, *, limit: int = JSON_LIMIT_BYTES) -> Record:
    """Return the record in the file `path`; PanicError, naming it, where there is none.

    Where there is no file at all that is an AbsentError.
    """
    try:
        return as_record(kind, read_json(path, limit=limit))
    except ValueError as error:
        raise PanicError(f"{path} is not what it should be: {error}") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # A dataclass takes its settings from what it stands in.
    return TypeAdapter(tuple[kind], config=_STRICT)
