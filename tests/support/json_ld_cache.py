"""Fills the cache of rocrate-validator with the context of RO-Crate 1.1: `… CACHE CONTEXT.json`.

Run by the validator's own Python, which may be another than the tests': it reads no network then.
"""

import io
import json
import sys
from pathlib import Path

import requests
from requests_cache import CachedSession
from urllib3 import HTTPResponse

URL = "https://w3id.org/ro/crate/1.1/context"
# What 1.1 calls otherwise than the later context that the library ships.
TERMS = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


def fill(cache: Path, later: Path) -> None:
    """Store the context as if it had been asked for once."""
    value = json.loads(later.read_text())
    value["@context"] |= TERMS
    content = json.dumps(value).encode()
    with CachedSession(str(cache), backend="sqlite") as session:
        request = requests.Request("GET", URL, headers={"Accept": "application/ld+json"})
        response = requests.Response()
        response.status_code, response.url, response.encoding = 200, URL, "utf-8"
        response.headers["Content-Type"] = "application/ld+json"
        response.request = session.prepare_request(request)
        response._content = content
        response.raw = HTTPResponse(
            io.BytesIO(content), dict(response.headers), 200, preload_content=False, request_url=URL
        )
        session.cache.save_response(response, session.cache.create_key(response.request))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), Path(sys.argv[2]))
