"""Models behind HTTP: a template says what is asked, a path where the answer has what is wanted.

Answers are recorded and not repeatable: another day's may differ, whatever the seed. So a repeated
output is no loop, and every output is kept.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from panic_hpc import clock
from panic_hpc.errors import RemoteError
from panic_hpc.keys import canonical_json
from panic_hpc.models.base import Output, Turn
from panic_hpc.models.remote.exchange import HttpAnswer, HttpRequest, origin_of
from panic_hpc.models.remote.http_settings import HttpSettings, Poll, roles_in
from panic_hpc.models.remote.jobs import RemoteItem, ask_all
from panic_hpc.models.remote.judge import RemoteJudge, RemoteJudgeSettings
from panic_hpc.models.remote.reading import bytes_of, json_of, pixels_of, text_at, value_at
from panic_hpc.models.remote.server import ItemRefusedError, Patience, Server
from panic_hpc.models.remote.templates import (
    IMAGE_PLACE,
    ROLE_PLACE,
    SEED_PLACE,
    TEXT_PLACE,
    as_base64,
    filled,
    places_in,
    with_values,
)
from panic_hpc.models.rubrics.rubric import PLACE
from panic_hpc.models.settings import settings_of
from panic_hpc.types import IMAGE, SCORE, TEXT, Modality, ModelEntry, ModelSpec

_POLL_PLACE = re.compile(r"\{([^{}]+)\}")


class HttpModel:
    """A model that a server answers for."""

    wants_turn = True

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, HttpSettings)
        self.details = {"server": origin_of(self.settings.url), "repeatable": False}
        self._body = with_values(self.settings.body, self.settings.values)

    def load(self, device: str) -> None:
        """Take the key out of the environment; ModelError where it is not there."""
        own = self.settings
        self._server = Server(self.spec.name, Patience(own.attempts, own.timeout_s), own.key)

    def generate(
        self, inputs: Sequence[Any], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return what the server answers; RemoteError where it fails."""
        return ask_all(self._ask, inputs, seeds, turns)

    def _ask(self, item: RemoteItem) -> Output:
        body = canonical_json(filled(self._body, self._values(item))).encode()
        headers = {"Content-Type": "application/json", **self.settings.headers}
        answer = self._server.ask(HttpRequest(self.settings.url, body, headers))
        if self.settings.poll:
            answer = self._polled(answer, self.settings.poll)
        if not self.settings.answer:
            return Output(pixels_of(answer.content))
        value = text_at(self.settings.answer, json_of(answer))
        return Output(self._text(value) if self.settings.produces == TEXT else self._picture(value))

    def _values(self, item: RemoteItem) -> dict[str, Any]:
        values: dict[str, Any] = {
            TEXT_PLACE: item.text(),
            SEED_PLACE: item.seed % (self.settings.max_seed + 1),
        }
        for name in places_in(self._body) - set(values):
            is_before = name == IMAGE_PLACE
            role = name.removeprefix(ROLE_PLACE)
            values[name] = as_base64(item.picture if is_before else item.role(role))
        return values

    def _polled(self, first: HttpAnswer, poll: Poll) -> HttpAnswer:
        told = json_of(first)
        url = _POLL_PLACE.sub(lambda place: quote(str(value_at(place[1], told)), safe=""), poll.url)
        until = clock.monotonic() + self.settings.timeout_s
        while clock.monotonic() < until:
            answer = self._server.ask(HttpRequest(url, None, self.settings.headers))
            state = text_at(poll.state, json_of(answer))
            if state in poll.ready:
                return answer
            if state not in poll.pending:
                raise ItemRefusedError(f"the server says {self._server.without_key(state)}")
            clock.sleep(poll.every_s)
        raise RemoteError(
            f"{self.spec.name}: its server is not ready within {self.settings.timeout_s:g} s",
            hint="Raise timeout_s and plan again into the same directory, then `panic-hpc retry`",
        )

    def _text(self, value: str) -> str:
        # It would be stored, and embedded, and shown.
        if self._server.holds_key(value):
            raise ItemRefusedError("the answer has the key in it")
        return value

    def _picture(self, value: str) -> Any:
        if not value.startswith(("http://", "https://")):
            return pixels_of(bytes_of(value))
        is_own = origin_of(value) == origin_of(self.settings.url)
        is_listed = value.startswith("https://") and urlsplit(value).hostname in self.settings.hosts
        if not is_own and not is_listed:
            where = self._server.without_key(origin_of(value))
            raise ItemRefusedError(f"the picture is at {where}, which is not in hosts")
        return pixels_of(self._server.ask(HttpRequest(value)).content)


class HttpFamily:
    """The family of models behind HTTP."""

    name = "http"
    settings = HttpSettings
    settings_decide = True
    has_weights = False
    repeatable = False
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> HttpModel:
        """Return the model that `spec` names, its key not taken yet."""
        return HttpModel(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image where the body has a place for the picture before, else text."""
        own = HttpSettings.model_validate(settings.model_dump())
        body = with_values(own.body, own.values)
        return (IMAGE if IMAGE_PLACE in places_in(body) else TEXT), own.produces

    def reads_prompt(self, settings: BaseModel) -> bool:
        """Say whether the body has a place for a text."""
        own = settings.model_dump()
        return TEXT_PLACE in places_in([own["body"], own["values"]])

    def roles_read(self, settings: BaseModel) -> Mapping[str, str]:
        """Return the roles that the body has places for."""
        own = settings.model_dump()
        return roles_in([own["body"], own["values"]])


class RemoteJudgeFamily:
    """The family of judges behind HTTP."""

    name = "judge_http"
    settings = RemoteJudgeSettings
    has_weights = False
    repeatable = False
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> RemoteJudge:
        """Return the judge that `spec` names, its key not taken yet."""
        own = settings_of(spec, RemoteJudgeSettings)
        asked = own.request.model_dump(exclude={"batch_size"})
        inner = ModelSpec(spec.name, "http", IMAGE, TEXT, "", "", "", spec.batch_size, asked)
        return RemoteJudge(spec, own, HttpModel(inner))

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and score."""
        return IMAGE, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return text where the question has a place for one, else nothing."""
        return TEXT if PLACE in settings.model_dump()["question"] else ""


PLUGINS = (HttpFamily(), RemoteJudgeFamily())
