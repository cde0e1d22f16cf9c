"""What SQLite gives, checked cell by cell: the type of a column binds nobody in SQLite."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import PanicError
from panic_hpc.validation.problems import shown

MOST_STEPS = 2**31 - 1
MOST_NAME = 200
MOST_VECTOR_BYTES = 4 * 2**16
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; every method raises PanicError that names table, row and column."""

    table: str
    values: Mapping[str, Any]

    def refuse(self, column: str, expected: str) -> PanicError:
        """Return the error for a cell that holds something else than `expected`."""
        where = f"{self.table}, row {_place(self.values.get('id'))}, column {column}"
        return PanicError(f"{where}: {shown(self.values.get(column))} is not {expected}")

    def whole(self, column: str, lowest: int, highest: int) -> int:
        """Return a whole number between `lowest` and `highest`."""
        value = self.values.get(column)
        if type(value) is not int or not lowest <= value <= highest:
            raise self.refuse(column, f"a whole number from {lowest} to {highest}")
        return value

    def seed(self, column: str) -> int:
        """Return a seed, -1 where there is none."""
        if self.values.get(column) is None:
            return -1
        return self.whole(column, -(2**63), 2**63 - 1)

    def text(self, column: str) -> str:
        """Return a text of any length."""
        value = self.values.get(column)
        if not isinstance(value, str) or not _is_utf8(value):
            raise self.refuse(column, "a text in UTF-8")
        return value

    def optional_text(self, column: str) -> str | None:
        """Return a text, None where there is none."""
        return None if self.values.get(column) is None else self.text(column)

    def name(self, column: str) -> str:
        """Return the name of a model."""
        return self._as_name(column, self.values.get(column))

    def _as_name(self, column: str, value: Any) -> str:
        is_name = isinstance(value, str) and 0 < len(value) <= MOST_NAME and _is_utf8(value)
        if not is_name or _HIDDEN.search(value):
            raise self.refuse(column, f"a name of 1 to {MOST_NAME} characters on one line")
        return str(value)

    def modality(self, column: str, known: tuple[str, ...]) -> str:
        """Return one of the modalities `known`, written in any case."""
        value = self.text(column).lower()
        if value not in known:
            raise self.refuse(column, " or ".join(known))
        return value

    def blob(self, column: str) -> bytes | None:
        """Return bytes, None where there are none."""
        value = self.values.get(column)
        if value is not None and not isinstance(value, bytes):
            raise self.refuse(column, "bytes")
        return value

    def vector_bytes(self, column: str) -> bytes:
        """Return the bytes of a vector of 32-bit numbers."""
        value = self.blob(column) or b""
        if not 0 < len(value) <= MOST_VECTOR_BYTES or len(value) % 4:
            raise self.refuse(column, "a vector of 1 to 65536 numbers of 4 bytes")
        return value

    def id(self, column: str = "id") -> str | bytes:
        """Return an id as it is stored: a text of letters and digits, or 16 bytes."""
        value = self.values.get(column)
        is_text = isinstance(value, str) and _ID.fullmatch(value)
        if not is_text and not (isinstance(value, bytes) and len(value) == 16):
            raise self.refuse(column, "an id")
        return value  # type: ignore[return-value]

    def moment(self, column: str) -> float:
        """Return a stored time as seconds since 1970, nan where there is none."""
        if self.values.get(column) is None:
            return float("nan")
        try:
            moment = datetime.datetime.fromisoformat(self.text(column))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=datetime.UTC)
            return moment.timestamp()
        except (ValueError, OverflowError) as error:
            raise self.refuse(column, "a time in ISO 8601") from error

    def json_list(self, column: str) -> list[Any]:
        """Return a list stored as JSON, [] where there is none."""
        if self.values.get(column) in (None, ""):
            return []
        try:
            value = parse_json(self.text(column))
        except ValueError as error:
            raise self.refuse(column, f"JSON ({error})") from error
        if not isinstance(value, list):
            raise self.refuse(column, "a list in JSON")
        return value

    def names(self, column: str) -> tuple[str, ...]:
        """Return a list of names of models."""
        return tuple(self._as_name(column, value) for value in self.json_list(column))

    def network(self, column: str) -> tuple[str, ...]:
        """Return the models of a network, one at least."""
        found = self.names(column)
        if not found:
            raise self.refuse(column, "a list of models")
        return found

    def networks(self, column: str) -> tuple[tuple[str, ...], ...]:
        """Return a list of networks."""
        lists = self.json_list(column)
        if not all(isinstance(one, list) and one for one in lists):
            raise self.refuse(column, "a list of lists of models")
        return tuple(tuple(self._as_name(column, name) for name in one) for one in lists)

    def texts(self, column: str) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self.json_list(column)
        if not all(isinstance(text, str) for text in found):
            raise self.refuse(column, "a list of texts")
        return tuple(found)

    def seeds(self, column: str) -> list[int]:
        """Return a list of seeds."""
        found = self.json_list(column)
        if not all(type(seed) is int and -(2**63) <= seed < 2**63 for seed in found):
            raise self.refuse(column, "a list of whole numbers")
        return found


def text_id(value: str | bytes) -> str:
    """Return an id as 32 hex digits, whether it was stored as text or as 16 bytes."""
    return value.hex() if isinstance(value, bytes) else value.replace("-", "").lower()


def _place(value: Any) -> str:
    return text_id(value) if isinstance(value, str | bytes) and len(value) <= 64 else shown(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
