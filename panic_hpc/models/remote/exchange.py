"""One request to a server and its answer: within a time and a size, and never led elsewhere.

Nothing that a server says is followed: redirects are answers like others, no content is unpacked,
no cookie kept. A time limit is that of the whole exchange, since a server that sends a byte a
second never lets a socket wait.
"""

import ipaddress
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import SplitResult, urlsplit

PIECE = 2**16


class TooLargeError(HTTPException):
    """An answer is larger than what would be taken; it was not read."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is asked of a server: an address, and for POST a body."""

    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """How it is asked."""
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def origin_of(url: str) -> str:
    """Return the part of an address that names a server: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its address, or as localhost."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def exchange(request: HttpRequest, time_limit_s: float, most_bytes: int) -> HttpAnswer:
    """Ask, and return the answer.

    Raises OSError or HTTPException where none comes whole within the time, TooLargeError where it
    is longer than `most_bytes`.
    """
    connection, target = _connection(urlsplit(request.url), time_limit_s)
    watch = _Watch(connection, time_limit_s)
    try:
        connection.connect()
        watch.begin()
        connection.request(request.method, target, request.body, dict(request.headers))
        response = connection.getresponse()
        content = _read(response, most_bytes)
    except (OSError, HTTPException) as error:
        # The socket's own time limit may be over first, by a little.
        if watch.is_over or isinstance(error, TimeoutError):
            raise TimeoutError(f"no whole answer within {time_limit_s:g} s") from error
        raise
    finally:
        watch.end()
        connection.close()
    # An answer without a length ends with its connection, however that came about.
    if watch.is_over:
        raise TimeoutError(f"no whole answer within {time_limit_s:g} s")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return HttpAnswer(response.status, headers, content)


class _Watch:
    """Ends a connection after a time: whoever waits for it then sees it end."""

    def __init__(self, connection: HTTPConnection, time_limit_s: float) -> None:
        self.is_over = False
        self._connection = connection
        self._timer = threading.Timer(time_limit_s, self._cut)
        self._timer.daemon = True

    def begin(self) -> None:
        # Kept: a connection forgets its socket once the answer's head is there.
        self._socket: Any = self._connection.sock
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)


def _read(response: HTTPResponse, most_bytes: int) -> bytes:
    length = response.length
    pieces, count = [], 0
    while (length or 0) <= most_bytes and count <= most_bytes:
        if not (piece := response.read(PIECE)):
            break
        pieces.append(piece)
        count += len(piece)
    else:
        raise TooLargeError(f"an answer of more than {most_bytes} bytes")
    content = b"".join(pieces)
    if length is not None and count < length:
        raise IncompleteRead(content, length - count)
    return content


def _connection(url: SplitResult, time_limit_s: float) -> tuple[HTTPConnection, str]:
    """Return a connection, not made yet, and what is asked of it; by a proxy where one is set."""
    host, port = url.hostname or "", url.port
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    proxy = urlsplit(_proxy_for(url))
    if url.scheme == "https":
        first = (proxy.hostname, proxy.port) if proxy.hostname else (host, port)
        secure = HTTPSConnection(*first, timeout=time_limit_s, context=_tls())
        if proxy.hostname:
            secure.set_tunnel(host, port)
        return secure, target
    if proxy.hostname:
        connection = HTTPConnection(proxy.hostname, proxy.port, timeout=time_limit_s)
        return connection, url.geturl()
    return HTTPConnection(host, port, timeout=time_limit_s), target


def _proxy_for(url: SplitResult) -> str:
    host = url.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return ""
    return urllib.request.getproxies().get(url.scheme, "")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
