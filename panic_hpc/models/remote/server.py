"""A server that a model asks: what is tried again, what is an item's fault, and how a key is kept.

| what comes | what is done |
|---|---|
| no connection, a hang-up, half an answer, nothing in time | asked again, `attempts` times in \
all; then the shard fails |
| 408, 429, 500, 502, 503, 504 | alike |
| 400, 413, 415, 422, 451 | refused: the fault of what was asked, hence of one item |
| a redirect, 401, 403, 404, any other status; a certificate that is not right | the shard fails |

Between two attempts it waits 1, 2, 4 … s, or as long as the server says (Retry-After), where that
is no longer than `timeout_s`.
"""

import os
import random
import re
import ssl
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import urlsplit

from panic_hpc import clock
from panic_hpc.errors import ModelError, RemoteError
from panic_hpc.models.remote.exchange import (
    HttpAnswer,
    HttpRequest,
    TooLargeError,
    exchange,
    origin_of,
)
from panic_hpc.models.remote.proxies import is_loopback, proxy_for
from panic_hpc.plain_text import one_line

AGAIN = frozenset({408, 429, 500, 502, 503, 504})
REFUSED = frozenset({400, 413, 415, 422, 451})
NOT_LET_IN = frozenset({401, 403})
MAX_ANSWER_BYTES = 64 * 2**20
LONGEST_WAIT_S = 60.0
SAID_CHARACTERS = 200
PLACE_OF_KEY = "{key}"
KEY_VARIABLE = r"^(PANIC_HPC_KEY_[A-Z0-9_]{1,64})?\z"
"""Only what is called so is ever sent: an experiment file may be a stranger's, and must not ask for
other secrets of whoever runs it."""

_NOT_IN_HEADERS = re.compile(r"[^\x21-\x7e]")


class ItemRefusedError(Exception):
    """What was asked for one item cannot be had, or is none that is taken; others may go on."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a server is asked, and how long each time, in seconds."""

    attempts: int
    timeout_s: float


class Server:
    """Asks one server for a model of the name `name`; `key` is an environment variable's, or ""."""

    def __init__(self, name: str, patience: Patience, key: str = "") -> None:
        """Take the key from its variable; ModelError where it is not set, or is none."""
        self.name, self.patience = name, patience
        self._variable, self._key = key, _key(name, key)
        # Not of Python's own generator, which a model in this process may draw from.
        self._random = random.SystemRandom()

    def ask(self, request: HttpRequest) -> HttpAnswer:
        """Return an answer of a status of success; see the table above for all others.

        `{key}` in a header is the key. Raises ItemRefusedError and RemoteError.
        """
        trouble, wait = "", 0.0
        for attempt in range(self.patience.attempts):
            clock.sleep(wait)
            wait = self._back_off(attempt)
            try:
                answer = self._exchange(request)
            except TooLargeError as error:
                raise ItemRefusedError(str(error)) from error
            except ssl.SSLCertVerificationError as error:
                raise self._failure(request, self.without_key(str(error))) from None
            except (OSError, HTTPException) as error:
                trouble = self.without_key(str(error) or type(error).__name__)
                continue
            if answer.status not in AGAIN:
                return self._accepted(request, answer)
            trouble = self._said(answer)
            wait = self._asked_wait(request, answer, wait)
        n_times = f"{self.patience.attempts} times" if self.patience.attempts > 1 else "once"
        raise self._failure(request, f"{trouble}; asked {n_times}")

    def holds_key(self, text: str) -> bool:
        """Say whether a text has the key in it."""
        return bool(self._key) and self._key in text

    def without_key(self, text: str) -> str:
        """Return a text on one line, cut to fit, and the key in it struck out."""
        shown = text.replace(self._key, "[key]") if self._key else text
        return one_line(" ".join(shown.split()), SAID_CHARACTERS)

    def _exchange(self, request: HttpRequest) -> HttpAnswer:
        headers = {
            name: value.replace(PLACE_OF_KEY, self._key) for name, value in request.headers.items()
        }
        keyed = HttpRequest(request.url, request.body, headers)
        return exchange(keyed, self.patience.timeout_s, MAX_ANSWER_BYTES)

    def _accepted(self, request: HttpRequest, answer: HttpAnswer) -> HttpAnswer:
        if 200 <= answer.status < 300:
            return answer
        if answer.status in REFUSED:
            raise ItemRefusedError(f"refused: {self._said(answer)}")
        if 300 <= answer.status < 400:
            where = self.without_key(origin_of(answer.headers.get("location", "")))
            told = f"{answer.status}, a redirect to {where}, which is not followed"
            raise self._failure(request, told)
        hint = ""
        if answer.status in NOT_LET_IN:
            hint = f"Is {self._variable or 'a key'} right?"
        raise self._failure(request, self._said(answer), hint)

    def _said(self, answer: HttpAnswer) -> str:
        text = answer.content[: 4 * SAID_CHARACTERS].decode("utf-8", "replace")
        return f"{answer.status} {self.without_key(text)}".rstrip()

    def _failure(self, request: HttpRequest, what: str, hint: str = "") -> RemoteError:
        proxy = proxy_for(urlsplit(request.url))
        way = f", through the proxy {proxy.host}:{proxy.port}," if proxy else ""
        told = f"{self.name}: its server {origin_of(request.url)}{way} fails ({what})"
        again = "Once it answers, `panic-hpc retry` goes on where this stopped"
        return RemoteError(told, hint=f"{hint} {again}".strip())

    def _back_off(self, attempt: int) -> float:
        # Spread, or all workers of an array would come back at one moment.
        return min(2.0**attempt, LONGEST_WAIT_S) * self._random.uniform(0.75, 1.25)

    def _asked_wait(self, request: HttpRequest, answer: HttpAnswer, otherwise: float) -> float:
        asked = retry_after_s(answer.headers.get("retry-after", ""))
        if asked is not None and asked > self.patience.timeout_s:
            told = f"{self._said(answer)}; it asks to wait {asked:.0f} s, more than timeout_s"
            raise self._failure(request, told)
        return otherwise if asked is None else asked


def retry_after_s(value: str) -> float | None:
    """Return how many seconds a Retry-After header asks to wait, None where it says nothing."""
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - clock.now())


def _key(name: str, variable: str) -> str:
    if not variable:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise ModelError(
            f"{name} needs a key, and {variable} is not set",
            hint=f"export {variable}=… before `submit`; Slurm's jobs take it along",
        )
    # Before a header is made of it: an error of the library would quote it.
    if _NOT_IN_HEADERS.search(key):
        raise ModelError(f"{variable} holds blanks or characters that no key has")
    return key


def url_problem(url: str, *, is_keyed: bool) -> str:
    """Return what is wrong with a server's address, "" for nothing."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not host or _NOT_IN_HEADERS.search(url):
        return "http:// or https:// and a host were expected"
    if "@" in parts.netloc:
        return f"an address has no user and password; a key is {PLACE_OF_KEY} in a header"
    if is_keyed and parts.scheme == "http" and not is_loopback(host):
        return "a key goes over https:// only"
    return ""
