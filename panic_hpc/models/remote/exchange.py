"""One request to a server and its answer: within a time and a size, and never led elsewhere.

Nothing that a server says is followed: redirects are answers like others, no content is unpacked,
no cookie kept. A time limit is that of the whole exchange, since a server that sends a byte a
second never lets a socket wait.
"""

import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import SplitResult, urlsplit

from panic_hpc.models.remote.proxies import proxy_for

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


def exchange(request: HttpRequest, time_limit_s: float, most_bytes: int) -> HttpAnswer:
    """Ask, and return the answer.

    Raises OSError or HTTPException where none comes whole within the time, TooLargeError where it
    is longer than `most_bytes`.
    """
    url = urlsplit(request.url)
    connection, target = _connection(url, time_limit_s)
    headers = dict(request.headers)
    if url.scheme == "http" and (proxy := proxy_for(url)):
        # Of https it goes with the tunnel, which ends at the proxy.
        headers |= proxy.headers
    watch = _Watch(connection, time_limit_s)
    try:
        watch.begin()
        connection.connect()
        watch.keep_socket()
        connection.request(request.method, target, request.body, headers)
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
    told = {name.lower(): value for name, value in response.getheaders()}
    return HttpAnswer(response.status, told, content)


class _Watch:
    """Ends a connection after a time: whoever waits for it then sees it end."""

    def __init__(self, connection: HTTPConnection, time_limit_s: float) -> None:
        self.is_over = False
        self._connection = connection
        self._socket: Any = None
        self._timer = threading.Timer(time_limit_s, self._cut)
        self._timer.daemon = True

    def begin(self) -> None:
        # Before there is a connection: a proxy may open its tunnel a byte at a time.
        self._timer.start()

    def keep_socket(self) -> None:
        # A connection forgets its socket once the answer's head is there.
        self._socket = self._connection.sock

    def end(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        socket = self._socket or self._connection.sock
        with suppress(OSError):
            if socket is not None:
                socket.shutdown(SHUT_RDWR)


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
    proxy = proxy_for(url)
    if url.scheme == "https":
        first = (proxy.host, proxy.port) if proxy else (host, port)
        secure = HTTPSConnection(*first, timeout=time_limit_s, context=_tls())
        if proxy:
            secure.set_tunnel(host, port, proxy.headers)
        return secure, target
    if proxy:
        return HTTPConnection(proxy.host, proxy.port, timeout=time_limit_s), url.geturl()
    return HTTPConnection(host, port, timeout=time_limit_s), target


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
