"""What a model behind HTTP may be told: the request, and where the answer has the output."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from panic_hpc.keys import canonical_json
from panic_hpc.models.metric_settings import Words
from panic_hpc.models.remote.exchange import origin_of
from panic_hpc.models.remote.server import KEY_VARIABLE, PLACE_OF_KEY, url_problem
from panic_hpc.models.remote.templates import (
    IMAGE_PLACE,
    ROLE_PLACE,
    TEXT_PLACE,
    places_in,
    with_values,
)
from panic_hpc.models.settings import Label, wrong

_SECRET_HEADERS = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}\Z")

Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Headers = Annotated[dict[str, str], Field(max_length=32)]
Attempts = Annotated[int, Field(ge=1, le=20), Label()]
Seconds = Annotated[float, Field(gt=0, le=86_400), Label()]
KeyName = Annotated[str, StringConstraints(pattern=KEY_VARIABLE), Label()]


class Poll(BaseModel):
    """How an answer that is not ready yet is asked for.

    url: with `{PATH}` for what the first answer has there; on the same server.
    state: where an answer says how far it is.
    ready, pending: what it says there; anything else is a failure of the item.
    every_s: seconds between two questions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    url: Url
    state: str = Field(min_length=1)
    ready: Words = Field(min_length=1)
    pending: Words = Field(min_length=1)
    every_s: float = Field(1.0, ge=0.01, le=600)


class HttpSettings(BaseModel):
    """What is asked of a server, and where its answer has the output.

    url, headers, body: the request, sent by POST; `body` is JSON with places for the item.
    values: what stands at dotted places of the body; a list here is a sweep.
    answer: a dotted path in the JSON that is answered; "" where the answer itself is the picture.
    produces: what is there: a picture (encoded, in base64, or at an address), or a text.
    poll: for servers that answer later.
    hosts: servers besides the first that a picture may be fetched from, over https, without a key.
    max_seed: seeds are taken modulo one more than this.
    key: the environment variable with what `{key}` in a header stands for.
    attempts, timeout_s: how often the server is asked, and how long for one answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    url: Url
    headers: Headers = Field(default_factory=dict)
    body: dict[str, Any]
    values: dict[str, bool | int | float | str] = Field(default_factory=dict)
    answer: str = ""
    produces: Literal["image", "text"] = "image"
    poll: Poll | None = None
    hosts: Words = ()
    batch_size: int = Field(1, ge=1, le=64)
    max_seed: int = Field(2**32 - 1, ge=0, le=2**63 - 1)
    key: KeyName = ""
    attempts: Attempts = 5
    timeout_s: Seconds = 300.0

    @model_validator(mode="after")
    def _makes_sense(self) -> "HttpSettings":
        if problem := next(filter(None, (check(self) for check in _CHECKS)), ""):
            raise wrong(problem)
        return self


def _url_problem(own: HttpSettings) -> str:
    problem = url_problem(own.url, is_keyed=bool(own.key))
    return f"url: {problem}" if problem else ""


def _header_problem(own: HttpSettings) -> str:
    for name, value in own.headers.items():
        if not _HEADER.match(name) or not value.isascii() or not value.isprintable():
            return f"headers.{name}: no header"
        if _SECRET_HEADERS.search(name) and PLACE_OF_KEY not in value:
            return (
                f"headers.{name}: no secret is written into a file: key = the name of an "
                f"environment variable, and {PLACE_OF_KEY} here"
            )
    is_there = any(PLACE_OF_KEY in value for value in own.headers.values())
    if is_there != bool(own.key):
        return f"key and {PLACE_OF_KEY} in a header: one without the other"
    return ""


def _body_problem(own: HttpSettings) -> str:
    try:
        body = with_values(own.body, own.values)
        canonical_json(body)
    except (KeyError, TypeError, ValueError) as error:
        return f"body and values make no JSON ({error})"
    if not places_in(body) & {TEXT_PLACE, IMAGE_PLACE} and not roles_in(body):
        return "body has no {text}, {image} or {role:NAME}: every item would be asked alike"
    return ""


def _answer_problem(own: HttpSettings) -> str:
    if own.produces == "text" and not own.answer:
        return "answer: the path of the text in the JSON that is answered is missing"
    if own.poll and origin_of(own.poll.url) != origin_of(own.url):
        return "poll.url: on the server of url, whose key it is asked with"
    return ""


_CHECKS = (_url_problem, _header_problem, _body_problem, _answer_problem)


def roles_in(body: Any) -> dict[str, str]:
    """Return the roles that a body has places for, by how the place is written."""
    names = (name for name in places_in(body) if name.startswith(ROLE_PLACE))
    return {f"body {{{name}}}": name.removeprefix(ROLE_PLACE) for name in sorted(names)}
