"""A stand-in for a ComfyUI server: the routes that a client uses, and what can go wrong.

As a program (`stub_comfyui.py PORT`) it is a server that somebody starts.
"""

import itertools
import re
import sys
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from stub_server import Handler, Stub, drawn, encoded

WORKFLOW: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 5, "cfg": 7.0, "sampler_name": "euler", "positive": ["6", 0]},
        "_meta": {"title": "KSampler"},
    },
    "6": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a cat"},
        "_meta": {"title": "Positive"},
    },
    "7": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "blurry"},
        "_meta": {"title": "Negative"},
    },
    "10": {
        "class_type": "LoadImage",
        "inputs": {"image": "example.png"},
        "_meta": {"title": "Load Object Image"},
    },
    "9": {
        "class_type": "SaveImage",
        "inputs": {"images": ["8", 0], "filename_prefix": "x"},
        "_meta": {"title": "Save Image"},
    },
}


def made(workflow: dict[str, Any], upload: bytes) -> np.ndarray:
    """Return the picture that the server makes: all that was set has a part in it."""
    inputs = workflow["3"]["inputs"]
    told = f"{workflow['6']['inputs']['text']}|{inputs['cfg']}|{upload.hex()[:4000]}"
    return drawn(told, int(inputs["seed"]))


@dataclass
class Comfy:
    """The state of a server; `trouble` is what it does to every job.

    looks: how often a job is asked for before it is done. forgets: so many jobs are lost.
    """

    trouble: str = ""
    looks: int = 2
    forgets: int = 0
    uploads: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    _looked: dict[str, int] = field(default_factory=dict)
    _numbers: Any = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def routes(self, handler: Handler, path: str, body: dict[str, Any]) -> bool:
        with self._lock:
            url = urlsplit(path)
            words = url.path.strip("/").split("/")
            match words:
                case ["system_stats"]:
                    system = {"comfyui_version": "0.3.0", "python_version": "3.11", "argv": ["x"]}
                    handler.say({"system": system, "devices": [{"name": "cpu"}]})
                case ["upload", "image"]:
                    name = re.search(rb'filename="([^"]+)"', body["raw"])
                    assert name is not None
                    start = body["raw"].index(b"\x89PNG")
                    end = body["raw"].rindex(b"\r\n--")
                    self.uploads[name[1].decode()] = body["raw"][start:end]
                    handler.say({"name": name[1].decode(), "subfolder": "", "type": "input"})
                case ["prompt"] if self.trouble == "node error":
                    error = {"error": {"message": "invalid"}, "node_errors": {"3": "cfg"}}
                    handler.say(error, 400)
                case ["prompt"]:
                    job = f"job-{next(self._numbers)}"
                    self.jobs[job] = body["prompt"]
                    handler.say({"prompt_id": job, "number": 1, "node_errors": {}})
                case ["history", job]:
                    handler.say(self._history(job))
                case ["queue"] if body:
                    self.deleted += body["delete"]
                    handler.say({})
                case ["queue"]:
                    pending = [[1, job, {}] for job in self.jobs]
                    handler.say({"queue_running": [], "queue_pending": pending})
                case ["view"]:
                    job = parse_qs(url.query)["filename"][0].removesuffix(".png")
                    workflow = self.jobs[job]
                    upload = self.uploads.get(workflow["10"]["inputs"]["image"], b"")
                    handler.give(encoded(made(workflow, upload)))
                case _:
                    handler.say({})
        return True

    def _history(self, job: str) -> dict[str, Any]:
        if self.forgets:
            self.forgets -= 1
            self.jobs.pop(job, None)
        self._looked[job] = self._looked.get(job, 0) + 1
        if job not in self.jobs or self.trouble == "never done" or self._looked[job] < self.looks:
            return {}
        images = [{"filename": f"{job}.png", "subfolder": "", "type": "output"}]
        done: dict[str, Any] = {
            "outputs": {"9": {"images": images}},
            "status": {"status_str": "success"},
        }
        match self.trouble:
            case "another's":
                return {"job-of-another": done}
            case "two pictures":
                done["outputs"]["9"]["images"] = images * 2
            case "no picture":
                done["outputs"] = {}
            case "exception":
                told = {"node_id": "3", "exception_message": "out of paint"}
                done["status"] = {"status_str": "error", "messages": [["execution_error", told]]}
        return {job: done}


if __name__ == "__main__":
    stub = Stub(routes=Comfy().routes)
    handler = type("Served", (Handler,), {"stub": stub})
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
