"""A model that sees and reads as a judge: it is asked about each picture, by a rubric.

A rubric is a question and what answers to it look like. With `answer = "yes"` the scores are the
probabilities that the answer begins with Yes, and with No: one call, nothing to misread. With
"json" it is a JSON object with a number from 0 to 1 for each key; an answer that is anything else
is a failed item with its reason, and enters no mean. Answers are greedy, so that nothing is drawn.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Judged, Score
from panic_hpc.models.captioner import Captioner
from panic_hpc.models.families.transformers_captioner import CaptionerSettings
from panic_hpc.models.rubrics.rubric import PLACE, RubricSettings
from panic_hpc.models.settings import settings_of
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.types import IMAGE, SCORE, TEXT, Modality, ModelEntry, ModelSpec


class JudgeSettings(RubricSettings):
    """A rubric, and how the model that is asked answers."""

    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    system: str = ""
    max_new_tokens: int = Field(128, ge=1, le=8192)


class Judge(Captioner):
    """A captioner that is asked a question of each picture's own."""

    def __init__(self, spec: ModelSpec) -> None:
        asked = settings_of(spec, JudgeSettings)
        told = asked.model_dump(include={"dtype", "system", "max_new_tokens"})
        own = CaptionerSettings.model_validate({**told, "prompt": asked.question})
        super().__init__(spec, own)
        self.asked = asked
        self.components = asked.components

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
        question = self.asked.asked_of(item)
        if self.asked.answer == "yes":
            chances = self.first_token_chances(item.output, question)
            return Score(tuple(float(chances[own].sum()) for own in self._words.values()))
        output = self.answer(item.output, question)
        return self.asked.score(output.value, truncated=output.output_truncated)


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
