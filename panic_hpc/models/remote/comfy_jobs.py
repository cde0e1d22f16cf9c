"""One job of a ComfyUI server: pictures up, the workflow into its queue, the picture back.

POST /upload/image → {"name", "subfolder"}       a picture for a node that loads one
POST /prompt → {"prompt_id"}                     400 with node_errors: the workflow is refused
GET /history/ID → {} until it is done, then {ID: {"outputs", "status"}}
GET /queue → {"queue_running", "queue_pending"}  whether a server that was started anew forgot it
GET /view?filename=…                             a picture that a node saved
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from panic_hpc import clock
from panic_hpc.errors import RemoteError
from panic_hpc.keys import canonical_json
from panic_hpc.models.remote.exchange import HttpRequest
from panic_hpc.models.remote.reading import json_of, pixels_of, text_at
from panic_hpc.models.remote.server import ItemRefusedError, Server
from panic_hpc.models.remote.templates import as_png

POLL_S = 0.25
# A job may be in neither list for a moment, between the queue and the history.
LOST_AFTER = 4
_BOUNDARY = "panic-hpc-picture-7d3f1c"
_SAID_BY_NODES = ("exception_message", "node_type", "node_id")
_VERSIONS = ("comfyui_version", "pytorch_version", "python_version")


class ComfyJobs:
    """Sends jobs to one server and waits for them, each by itself; may be asked from threads."""

    def __init__(self, server: Server, url: str, time_limit_s: float) -> None:
        self._server, self._url, self._time_limit_s = server, url.rstrip("/"), time_limit_s

    def versions(self) -> dict[str, str]:
        """Return what the server says it is; RemoteError where it is no ComfyUI."""
        told = self._json(self._get("/system_stats"))
        system = told.get("system") if isinstance(told, dict) else None
        if not isinstance(system, dict):
            raise RemoteError(f"{self._server.name}: {self._url} is no ComfyUI")
        devices = told.get("devices")
        first = devices[0] if isinstance(devices, list) and devices else {}
        found = {name: system.get(name) for name in _VERSIONS}
        found["device"] = first.get("name") if isinstance(first, dict) else None
        return {name: str(value)[:200] for name, value in found.items() if value is not None}

    def upload(self, picture: NDArray[np.uint8]) -> str:
        """Give the server a picture and return the name that nodes load it by."""
        content = as_png(picture)
        # By its content: uploaded twice it is one file, and jobs side by side cannot mix theirs.
        name = f"panic-hpc-{hashlib.sha256(content).hexdigest()[:32]}.png"
        kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        asked = HttpRequest(f"{self._url}/upload/image", _form(name, content), kind)
        told = self._json(asked)
        folder = told.get("subfolder", "") if isinstance(told, dict) else ""
        stored = text_at("name", told)
        return f"{folder}/{stored}" if folder else stored

    def picture(self, workflow: Mapping[str, Any], node: str) -> NDArray[np.uint8]:
        """Return the one picture that a node of a workflow gives.

        Raises ItemRefusedError where the workflow fails, RemoteError where the server does.
        """
        for _ in range(self._server.patience.attempts):
            done = self._finished(self._queued(workflow))
            if done is not None:
                return self._fetched(done, node)
        told = f"forgot a job {self._server.patience.attempts} times, as one started anew does"
        raise RemoteError(
            f"{self._server.name}: {self._url} {told}",
            hint="Once it stays up, `panic-hpc retry` goes on where this stopped",
        )

    def _queued(self, workflow: Mapping[str, Any]) -> str:
        body = canonical_json({"prompt": dict(workflow)}).encode()
        asked = HttpRequest(f"{self._url}/prompt", body, {"Content-Type": "application/json"})
        return text_at("prompt_id", self._json(asked))

    def _finished(self, job: str) -> Mapping[str, Any] | None:
        """Return what became of a job; None where the server has forgotten it."""
        until = clock.monotonic() + self._time_limit_s
        n_lost = 0
        while clock.monotonic() < until and n_lost < LOST_AFTER:
            history = self._json(self._get(f"/history/{job}"))
            # Under its own id, or it is another's.
            if isinstance(history, dict) and isinstance(history.get(job), dict):
                own: dict[str, Any] = history[job]
                return own
            n_lost = 0 if self._is_queued(job) else n_lost + 1
            clock.sleep(POLL_S)
        if n_lost >= LOST_AFTER:
            return None
        self._give_up(job)
        told = f"a job at {self._url} is not done within {self._time_limit_s:g} s"
        raise RemoteError(
            f"{self._server.name}: {told}",
            hint="Raise timeout_s, plan again into the same directory, then `panic-hpc retry`",
        )

    def _is_queued(self, job: str) -> bool:
        told = self._json(self._get("/queue"))
        lists = told.values() if isinstance(told, dict) else ()
        entries = [entry for one in lists if isinstance(one, list) for entry in one]
        return any(isinstance(entry, list) and job in entry[:2] for entry in entries)

    def _give_up(self, job: str) -> None:
        for path, body in (("/queue", {"delete": [job]}), ("/interrupt", {"prompt_id": job})):
            content = canonical_json(body).encode()
            kind = {"Content-Type": "application/json"}
            self._server.ask(HttpRequest(f"{self._url}{path}", content, kind))

    def _fetched(self, told: Mapping[str, Any], node: str) -> NDArray[np.uint8]:
        if problem := _problem(told):
            raise ItemRefusedError(self._server.without_key(problem))
        outputs = told.get("outputs")
        own = outputs.get(node) if isinstance(outputs, dict) else None
        images = own.get("images") if isinstance(own, dict) else None
        if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], dict):
            n_images = len(images) if isinstance(images, list) else 0
            raise ItemRefusedError(f"node {node} gave {n_images} pictures, where one was expected")
        place = {key: text_at(key, images[0]) for key in ("filename", "subfolder", "type")}
        answer = self._server.ask(self._get(f"/view?{urlencode(place)}"))
        return pixels_of(answer.content)

    def _get(self, path: str) -> HttpRequest:
        return HttpRequest(f"{self._url}{path}")

    def _json(self, request: HttpRequest) -> Any:
        return json_of(self._server.ask(request))


def _problem(told: Mapping[str, Any]) -> str:
    """Return what a job failed with, "" where it did not."""
    status = told.get("status")
    if not isinstance(status, dict) or status.get("status_str") != "error":
        return ""
    messages = status.get("messages")
    for entry in messages if isinstance(messages, list) else ():
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict):
            said = [str(entry[1][key]) for key in _SAID_BY_NODES if key in entry[1]]
            if "exception_message" in entry[1]:
                return f"the workflow failed: {', '.join(said)}"
    return "the workflow failed"


def _form(name: str, content: bytes) -> bytes:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
