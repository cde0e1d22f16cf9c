"""A proxy on this machine: it notes what it is asked and passes all of it on to one address."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

SLOW_ANSWER = "HTTP/1.1 200 " + "x" * 1000


@dataclass
class StubProxy:
    """What a proxy does and was asked.

    `behind` is the (host, port) that everything goes to, whatever its name; `needs` the
    Proxy-Authorization that it lets in, "" for any; `slow_s` how long it takes over each byte of
    what it says to a tunnel, and `n_sent` how many of those it has sent.
    """

    behind: tuple[str, int] = ("", 0)
    needs: str = ""
    slow_s: float = 0.0
    n_sent: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: StubProxy

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _is_let_in(self) -> bool:
        self.proxy.asked.append((self.command, self.path, dict(self.headers)))
        if self.proxy.needs in ("", self.headers.get("Proxy-Authorization")):
            return True
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def _pass_on(self, body: bytes | None) -> None:
        if not self._is_let_in():
            return
        place = self.path.partition("://")[2].partition("/")[2]
        kept = {name: value for name, value in self.headers.items() if name != "Host"}
        kept.pop("Proxy-Authorization", None)
        request = Request("http://{}:{}/".format(*self.proxy.behind) + place, body, kept)
        with build_opener(ProxyHandler({})).open(request) as answer:
            content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_CONNECT(self) -> None:
        if not self._is_let_in():
            return
        self.close_connection = True
        if self.proxy.slow_s:
            with suppress(OSError):
                for letter in SLOW_ANSWER:
                    self.connection.sendall(letter.encode())
                    self.proxy.n_sent += 1
                    threading.Event().wait(self.proxy.slow_s)
            return
        with socket.create_connection(self.proxy.behind) as server:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_pumped, args=(server, self.connection), daemon=True)
            back.start()
            _pumped(self.connection, server)
            back.join(5)


def _pumped(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(2**16):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(proxy: StubProxy) -> Iterator[StubProxy]:
    """Serve a proxy; its `port` is set."""
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
