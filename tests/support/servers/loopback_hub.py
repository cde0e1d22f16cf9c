"""A hub on this machine: three routes over folders, with the faults that hubs and networks have."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LFS = (".safetensors", ".bin")


@dataclass
class Repository:
    """A folder as a repository at one commit, reachable as `main` and other names.

    Faults: `gated` refuses files; `absent` files are listed and not given; `other` files are given
    with one byte changed; `cut_after` is the number of bytes of weights after which a connection
    breaks, for as many times as `cuts` says (None: each time); `silent` files never come.
    """

    folder: Path
    commit: str = "c0ffee" + "0" * 34
    refs: tuple[str, ...] = ("main",)
    licence: str = "mit"
    gated: bool = False
    absent: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    cut_after: int | None = None
    served: list[str] = field(default_factory=list)

    @cached_property
    def files(self) -> dict[str, bytes]:
        paths = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def described(self, name: str) -> dict[str, Any]:
        siblings = [self._sibling(file, content) for file, content in self.files.items()]
        return {
            "id": name,
            "modelId": name,
            "sha": self.commit,
            "gated": "manual" if self.gated else False,
            "private": False,
            "tags": [f"license:{self.licence}"],
            "cardData": {"license": self.licence},
            "siblings": siblings,
        }

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        sha = hashlib.sha256(content).hexdigest()
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        pointer = {"lfs": {"sha256": sha, "size": len(content), "pointerSize": 134}}
        lfs = pointer if name.endswith(LFS) else {}
        return {"rfilename": name, "size": len(content), "blobId": blob, **lfs}

    def etag(self, name: str) -> str:
        found = self._sibling(name, self.files[name])
        return str(found["lfs"]["sha256"] if "lfs" in found else found["blobId"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: dict[str, Repository]

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        words = unquote(urlsplit(self.path).path).strip("/").split("/")
        with suppress(ConnectionError):
            match words:
                case ["api", "models", owner, name, "revision", *ref]:
                    self._describe(f"{owner}/{name}", "/".join(ref))
                case ["api", "models", owner, name]:
                    self._describe(f"{owner}/{name}", "main")
                case [owner, name, "resolve", revision, *file]:
                    self._give(f"{owner}/{name}", revision, "/".join(file), body)
                case _:
                    self._refuse(404, "EntryNotFound")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _repository(self, name: str, revision: str) -> Repository | None:
        found = self.repositories.get(name)
        if found is None:
            self._refuse(404, "RepoNotFound")
        elif revision not in (*found.refs, found.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            return found
        return None

    def _describe(self, name: str, revision: str) -> None:
        if found := self._repository(name, revision):
            content = json.dumps(found.described(name)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def _give(self, name: str, revision: str, file: str, body: bool) -> None:
        found = self._repository(name, revision)
        if found is None:
            return None
        if found.gated:
            return self._refuse(403, "GatedRepo")
        if file not in found.files or file in found.absent:
            return self._refuse(404, "EntryNotFound")
        return self._send(found, file, body)

    def _send(self, found: Repository, file: str, body: bool) -> None:
        content = found.files[file]
        if file in found.other:
            content = content[:-1] + bytes([content[-1] ^ 1])
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        content = content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{found.etag(file)}"')
        self.send_header("X-Repo-Commit", found.commit)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self._write(found, file, content)

    def _write(self, found: Repository, file: str, content: bytes) -> None:
        found.served.append(file)
        if file in found.silent:
            threading.Event().wait(120)
        if found.cut_after is not None and file.endswith(LFS):
            self.wfile.write(content[: found.cut_after])
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(content)


@contextmanager
def hub(repositories: dict[str, Repository]) -> Iterator[str]:
    """Serve `repositories` by name; give the hub's address."""
    handler = type("Handler", (_Handler,), {"repositories": repositories})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
