"""A judge behind HTTP: a service that sees is asked a rubric's question about each picture.

The request is a template as of the family `http`: `{text}` is the question, `{image}` the picture.
What is not said is how services of the form of OpenAI's chat completions are asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from panic_hpc.models.base import Judged, Output, Score, Turn
from panic_hpc.models.remote.http_settings import (
    Attempts,
    Headers,
    HttpSettings,
    KeyName,
    Seconds,
    Url,
)
from panic_hpc.models.remote.templates import IMAGE_PLACE, TEXT_PLACE, places_in, with_values
from panic_hpc.models.rubrics.rubric import RubricSettings
from panic_hpc.models.settings import first_problem, wrong
from panic_hpc.types import ModelSpec

CHAT: Mapping[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "{text}"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,{image}"}},
            ],
        }
    ],
    "temperature": 0,
}
REPLY = "choices.0.message.content"


class RemoteJudgeSettings(RubricSettings):
    """A rubric, and the service that it is put to.

    url, headers, body, values, key, attempts, timeout_s: the request, as of the family `http`.
    reply: a dotted path in the JSON that is answered: where the words of the answer are.
    samples: how often each question is asked, `{seed}` being 0, 1, …, since services answer
        otherwise each time. Numbers are means over what was an answer, `answers` is how many were.
    batch_size: so many questions at a time.
    """

    batch_size: int = Field(1, ge=1, le=64)
    url: Url
    headers: Headers = Field(default_factory=dict)
    body: dict[str, Any] = Field(default_factory=lambda: dict(CHAT))
    values: dict[str, bool | int | float | str] = Field(default_factory=dict)
    reply: str = Field(REPLY, min_length=1)
    samples: int = Field(1, ge=1, le=64)
    key: KeyName = ""
    attempts: Attempts = 5
    timeout_s: Seconds = 300.0

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        try:
            asked = self.request
            places = places_in(with_values(asked.body, asked.values))
        except ValidationError as error:
            raise wrong(first_problem(error).removeprefix(": ")) from None
        if not {TEXT_PLACE, IMAGE_PLACE} <= places:
            raise wrong("body: {text}, the question, and {image} were expected in it")
        return self

    @property
    def request(self) -> HttpSettings:
        """How an answer in words is asked for."""
        told = self.model_dump(include=set(HttpSettings.model_fields) - {"answer"})
        return HttpSettings.model_validate({**told, "answer": self.reply, "produces": "text"})


class RemoteJudge:
    """Puts a rubric to a service; `asked` is the model behind HTTP that answers in words."""

    def __init__(self, spec: ModelSpec, settings: RemoteJudgeSettings, asked: Any) -> None:
        self.spec, self.settings, self._asked = spec, settings, asked
        is_repeated = settings.samples > 1
        self.components = (*settings.components, *(("answers",) if is_repeated else ()))
        self.details = dict(asked.details)

    def load(self, device: str) -> None:
        """Take the key out of the environment; ModelError where it is not there."""
        self._asked.load(device)

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return what the service says of each picture; RemoteError where it fails.

        A picture that it refuses, and an answer that is none, is that item's failure.
        """
        # One for each item: slots that are filled with copies of an item are asked once.
        turns = {id(item): Turn(0, self.settings.asked_of(item), {}) for item in items}
        pictures, asked = [item.output for item in items], [turns[id(item)] for item in items]
        samples = [
            self._asked.generate(pictures, [seed] * len(items), asked)
            for seed in range(self.settings.samples)
        ]
        return [self._score(outputs) for outputs in zip(*samples, strict=True)]

    def _score(self, outputs: Sequence[Output]) -> Score:
        """Return the mean of an item's answers, or why there is none."""
        scores = [self._taken(output) for output in outputs]
        good = [score.values for score in scores if not score.problem]
        if not good:
            return Score((float("nan"),) * len(self.components), problem=scores[0].problem)
        means = tuple(sum(values) / len(good) for values in zip(*good, strict=True))
        return Score((*means, float(len(good))) if len(scores) > 1 else means)

    def _taken(self, output: Output) -> Score:
        if output.problem:
            return Score((float("nan"),), problem=output.problem)
        return self.settings.score(output.value)
