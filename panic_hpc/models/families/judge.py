"""A model that sees and reads as a judge: it is asked about each picture, by a rubric.

A rubric is a question and what answers to it look like. With `answer = "yes"` the scores are the
probabilities that the answer begins with Yes, and with No: one call, nothing to misread. With
"json" it is a JSON object with a number from 0 to 1 for each key; an answer that is anything else
is a failed item with its reason, and enters no mean. Answers are greedy, so that nothing is drawn.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ModelError
from panic_hpc.models.base import Judged, Score
from panic_hpc.models.captioner import Captioner
from panic_hpc.models.families.transformers_captioner import CaptionerSettings
from panic_hpc.models.metric_settings import NOTHING, MetricSettings, Words
from panic_hpc.models.settings import settings_of, wrong
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.types import IMAGE, SCORE, TEXT, Modality, ModelEntry, ModelSpec

RUBRICS = Path(__file__).parents[1] / "rubrics"
PLACE = "{text}"
"""Where in a question the text stands that a picture is judged against."""
TOLD_CHARACTERS = 80

_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


@cache
def rubrics() -> Mapping[str, Mapping[str, Any]]:
    """Return the rubrics that come with the package, by name."""
    paths = sorted(RUBRICS.glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}


class JudgeSettings(MetricSettings):
    """What is asked, and of what kind answers are.

    `rubric` names one that comes with the package; `question`, `answer` and `keys` of one's own go
    before what it says. All of it is part of the identity.
    """

    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    rubric: str = ""
    question: str = ""
    answer: Literal["yes", "json"] = "yes"
    keys: Words = ()
    system: str = ""
    max_new_tokens: int = Field(128, ge=1, le=8192)

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


class Judge(Captioner):
    """A captioner that is asked a question of each picture's own."""

    def __init__(self, spec: ModelSpec) -> None:
        asked = settings_of(spec, JudgeSettings)
        told = asked.model_dump(include={"dtype", "system", "max_new_tokens"})
        own = CaptionerSettings.model_validate({**told, "prompt": asked.question})
        super().__init__(spec, own)
        self.asked = asked
        self.components = asked.keys if asked.answer == "json" else ("yes", "no")

    def load(self, device: str) -> None:
        """Load the model; ModelError where it has no token that Yes or No begins with."""
        super().load(device)
        self._words = {
            word: first_tokens(self._processor.tokenizer, word) for word in ("Yes", "No")
        }
        if shared := set(self._words["Yes"]) & set(self._words["No"]):
            raise ModelError(f"{self.spec.name}: Yes and No begin with one token {sorted(shared)}")

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return what the model says of each picture."""
        # One by one: questions differ in length, and padding them would let neighbours in.
        return [self._score(item) for item in items]

    def _score(self, item: Judged) -> Score:
        question = self.asked.question.replace(PLACE, item.against or "")
        if self.asked.answer == "yes":
            chances = self.first_token_chances(item.output, question)
            return Score(tuple(float(chances[own].sum()) for own in self._words.values()))
        output = self.answer(item.output, question)
        values = values_in(output.value, self.asked.keys)
        if values is None:
            told = f"a malformed answer: {output.value[:TOLD_CHARACTERS]!r}"
            nothing = (float("nan"),) * len(self.components)
            return Score(nothing, output.output_truncated, told)
        return Score(values, output.output_truncated)


def first_tokens(tokenizer: Any, word: str) -> list[int]:
    """Return the tokens that a text may begin with whose first word is `word`.

    Where a vocabulary has no such word, its first letters. ModelError where there is none at all.
    """
    found = set()
    for written in (word, f" {word}", word.lower(), f" {word.lower()}"):
        ids = tokenizer(written, add_special_tokens=False)["input_ids"][:1]
        letters = tokenizer.decode(ids).strip().lower()
        # A blank of its own says nothing of the word behind it.
        if letters and word.lower().startswith(letters):
            found |= set(ids)
    if not found:
        raise ModelError(f"No token of the tokenizer begins the word {word}")
    return sorted(found)


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


class JudgeFamily:
    """The family of judges."""

    name = "judge"
    settings = JudgeSettings
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> Judge:
        """Return the judge that `spec` names, not loaded yet."""
        return Judge(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and score."""
        return IMAGE, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return text where the question has a place for one, else nothing."""
        return TEXT if PLACE in settings.model_dump()["question"] else ""


PLUGINS = (JudgeFamily(),)
