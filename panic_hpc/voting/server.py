"""The page from a server of this machine alone, which writes each answer down before it says so.

It listens on 127.0.0.1; who votes elsewhere comes through a tunnel. Whoever is on this machine can
reach it, and any page in a browser here can send to it: so nothing is given or taken without the
token of the page's address, nor under another host's name (which a name that was made to lead here
would bring), nor in a form that a page of another site may send unasked.
"""

import hmac
import secrets
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import DiskError, LaunchError
from panic_hpc.voting.folder import VoteLog
from panic_hpc.voting.votes import vote_of

HOST = "127.0.0.1"
MOST_BYTES = 16 * 2**10
"""Of one vote."""
MOST_DIGITS = 9
"""Of a length that is looked at; more are too many bytes anyway."""
PATIENCE_S = 30.0
"""How long a connection may say nothing."""


class VoteServer(ThreadingHTTPServer):
    """Serves one page, and adds what is voted on it to a log; `serve_forever` until `shutdown`."""

    daemon_threads = True

    def __init__(self, page: bytes, log: VoteLog, port: int = 0) -> None:
        """Listen on a port, any where it is 0; LaunchError where it is taken."""
        self.page, self.log = page, log
        self.token = secrets.token_urlsafe(24)
        self.writing = Lock()
        self.n_kept = 0
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise LaunchError(
                f"Port {port} of {HOST} cannot be listened on ({error})", hint="Name another --port"
            ) from error

    def server_bind(self) -> None:
        """Bind without asking for this machine's name, which may take a name server's time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a browser that went away: a tab that was closed is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def address(self) -> str:
        """The page's address, with the token in it."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    server: VoteServer
    timeout = PATIENCE_S

    def parse_request(self) -> bool:
        """Read what is asked; False, and it is answered, where that has no path to speak of."""
        if not super().parse_request():
            return False
        try:
            urlsplit(self.path)
        # Whatever can reach the port may ask for "http://[".
        except ValueError:
            self._answer(400, b"No such address")
            return False
        return True

    def do_GET(self) -> None:
        if not self._is_admitted():
            self._answer(403, b"The address of the page has a token, which this one lacks")
        elif urlsplit(self.path).path != "/":
            self._answer(404, b"There is nothing here")
        else:
            self._answer(200, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self._is_admitted() or self.headers.get_content_type() != "application/json":
            self._answer(403, b"Votes are sent by the page")
        elif urlsplit(self.path).path != "/vote":
            self._answer(404, b"There is nothing here")
        elif not length.isdecimal() or len(length) > MOST_DIGITS or int(length) > MOST_BYTES:
            self._answer(413, b"A vote has a length, and is short")
        else:
            self._keep(self.rfile.read(int(length)))

    def _keep(self, content: bytes) -> None:
        try:
            vote = vote_of(parse_json(content))
        except ValueError as error:
            self._answer(400, str(error).encode())
            return
        try:
            with self.server.writing:
                self.server.log.add(vote)
                self.server.n_kept += 1
        except DiskError as error:
            self._answer(507, str(error).encode())
            return
        self._answer(204, b"")

    def _is_admitted(self) -> bool:
        token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        hosts = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        is_known = hmac.compare_digest(token.encode(), self.server.token.encode())
        return is_known and self.headers.get("Host", "") in hosts

    def _answer(self, status: int, content: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        # What was not read of a request would be taken for the next one.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: addresses have the token."""
