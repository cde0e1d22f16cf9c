"""Rubrics: questions about pictures and what answers to them look like, each a file beside this.

With `answer = "yes"` a question is answered by its first word; with "json" by a JSON object with a
number from 0 to 1 for each key. An answer that is anything else is a failed item with its reason,
and enters no mean.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.models.base import Judged, Score
from panic_hpc.models.metric_settings import NOTHING, MetricSettings, Words
from panic_hpc.models.settings import wrong

RUBRICS = Path(__file__).parent
PLACE = "{text}"
"""Where in a question the text stands that a picture is judged against."""
TOLD_CHARACTERS = 80

_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_FIRST_WORD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


@cache
def rubrics() -> Mapping[str, Mapping[str, Any]]:
    """Return the rubrics that come with the package, by name."""
    paths = sorted(RUBRICS.glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}


class RubricSettings(MetricSettings):
    """What is asked, and of what kind answers are.

    `rubric` names one that comes with the package; `question`, `answer` and `keys` of one's own go
    before what it says. All of it is part of the identity.
    """

    rubric: str = ""
    question: str = ""
    answer: Literal["yes", "json"] = "yes"
    keys: Words = ()

    @model_validator(mode="before")
    @classmethod
    def _by_rubric(cls, values: Any) -> Any:
        name = values.get("rubric") if isinstance(values, Mapping) else None
        if not name:
            return values
        if name not in rubrics():
            raise wrong(f"rubric {name!r}: there are {', '.join(rubrics())}")
        return {**rubrics()[name], **values}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.question:
            raise wrong("rubric, or a question, is missing")
        if self.answer == "json" and not self.keys:
            raise wrong("keys of the JSON that is to be answered are missing")
        if PLACE in self.question and self.against == NOTHING:
            raise wrong(f'the question has {PLACE}: against = "prompt" or "input"')
        return self

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the numbers that answers give."""
        return self.keys if self.answer == "json" else ("yes", "no")

    def asked_of(self, item: Judged) -> str:
        """Return the question about one picture."""
        return self.question.replace(PLACE, item.against or "")

    def score(self, answer: str, *, truncated: bool = False) -> Score:
        """Return what an answer says, as words alone: of Yes and No 1 and 0."""
        values = values_in(answer, self.keys) if self.answer == "json" else yes_or_no(answer)
        if values is None:
            told = f"a malformed answer: {answer[:TOLD_CHARACTERS]!r}"
            return Score((float("nan"),) * len(self.components), truncated, told)
        return Score(values, truncated)


def yes_or_no(answer: str) -> tuple[float, float] | None:
    """Return (1, 0) of an answer that begins with Yes, (0, 1) with No, None with anything else."""
    if not (word := _FIRST_WORD.match(answer)):
        return None
    return (1.0, 0.0) if word[1].lower() == "yes" else (0.0, 1.0)


def values_in(answer: str, keys: Sequence[str]) -> tuple[float, ...] | None:
    """Return the numbers of an answer by key, None where it is not what was asked for.

    The object may stand among other words; it must have every key, each a number from 0 to 1.
    """
    found = _OBJECT.search(answer)
    try:
        told = parse_json(found[0]) if found else None
    except ValueError:
        return None
    values = [_share(told.get(key)) for key in keys] if isinstance(told, dict) else []
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(keys) else None


def _share(value: Any) -> float | None:
    """Return a number from 0 to 1, None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None
