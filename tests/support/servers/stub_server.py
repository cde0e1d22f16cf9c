"""A server on this machine that makes pictures for requests, with the faults that servers have."""

import base64
import io
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

from panic_hpc.clock import MachineClock

KEY = "sk-0123456789-very-secret"


class NoWaiting(MachineClock):
    """This machine's clock, but whoever waits by it does not; `waited` has for how long."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        if seconds:
            self.waited.append(seconds)


def drawn(text: str, seed: int, side: int = 8) -> np.ndarray:
    """Return the picture that the server makes of a text and a seed."""
    rng = np.random.default_rng([zlib.crc32(text.encode()), seed])
    return rng.integers(0, 256, (side, side, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@dataclass
class Stub:
    """What the server does and what it was asked.

    `faults` are done in turn, a request each; `always` from then on. `before_answer` is called
    before each; `most_at_once` is how many were under way at one time.
    """

    faults: list[str] = field(default_factory=list)
    always: str = "good"
    before_answer: Callable[[], object] = lambda: None
    requests: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    routes: Callable[["Handler", str, dict[str, Any]], bool] | None = None
    url: str = ""
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def noted(self, request: dict[str, Any]) -> Iterator[str]:
        with self._lock:
            self.requests.append(request)
            fault = self.faults.pop(0) if self.faults else self.always
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield fault
        finally:
            with self._lock:
                self._at_once -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_json = "json" in self.headers.get("Content-Type", "")
        self._serve(json.loads(content) if is_json else {"raw": content})

    def _serve(self, body: dict[str, Any]) -> None:
        request = {"path": self.path, "headers": dict(self.headers), "body": body}
        with self.stub.noted(request) as fault, suppress(ConnectionError):
            self.stub.before_answer()
            if fault != "good":
                self.fail(fault)
            elif not (self.stub.routes and self.stub.routes(self, self.path, body)):
                pixels = drawn(str(body.get("prompt", "")), int(body.get("seed", 0)))
                coded = base64.b64encode(encoded(pixels)).decode()
                self.say({"data": [{"note": "none"}, {"b64": coded}]})

    def say(self, value: Any, status: int = 200) -> None:
        self.give(json.dumps(value).encode(), status=status)

    def give(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def fail(self, fault: str) -> None:
        key = self.headers.get("Authorization", "")
        match fault:
            case "hangs up":
                self.close_connection = True
                self.connection.close()
            case "half an answer":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"data": [')
                self.close_connection = True
            case "a byte at a time":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            case "silent":
                time.sleep(3)
            case "asks to wait":
                self.give(b"slowly", 429, Retry_After="7")
            case "asks to wait for ever":
                self.give(b"slowly", 429, Retry_After="86400")
            case "leads elsewhere":
                self.give(b"", 302, Location="http://169.254.169.254/latest")
            case "huge":
                self.send_response(200)
                self.send_header("Content-Length", str(2**40))
                self.end_headers()
                self.close_connection = True
            case "endless":
                self.send_response(200)
                self.end_headers()
                for _ in range(2**10):
                    self.wfile.write(bytes(2**17))
                self.close_connection = True
            case "a page":
                self.give(b"<html>Welcome</html>")
            case "a GIF":
                gif = base64.b64encode(encoded(drawn("", 0), "GIF")).decode()
                self.say({"data": [{"b64": gif}]})
            case "a broken picture":
                half = base64.b64encode(encoded(drawn("", 0, 64))[:200]).decode()
                self.say({"data": [{"b64": half}]})
            case "the key":
                self.say({"data": [{"b64": key.removeprefix("Bearer ")}]})
            case "a line with the key":
                self.wfile.write(f"{key}\r\n\r\n".encode())
                self.close_connection = True
            case _:
                self.say({"error": f"no, {key}"}, int(fault))


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Serve `stub`; give the server's address."""
    handler = type("Handler", (Handler,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
