"""The ledger: one JSON file a submission, true at every moment, whatever happens half-way.

Each chunk is written before sbatch is called, without an id, and again with the one it gave; a
submitter that dies in between leaves the job's name, by which the scheduler finds the job.
"""

import os
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.errors import PanicError
from panic_hpc.workspace.process import user_name


@dataclass(frozen=True, slots=True)
class ArrayJob:
    """What one sbatch call submitted: an array, or a single job where it has one element.

    `elements[k]` are the shards (by number) of array task k. `job_id` is "" until sbatch gave one.
    """

    stage: str
    job_name: str
    elements: tuple[tuple[int, ...], ...]
    folder: str
    job_id: str = ""
    dependency: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    submitted: float = 0.0
    cancelled: bool = False

    @property
    def is_array(self) -> bool:
        """Whether the elements are array tasks; submitit submits one alone as a plain job."""
        return len(self.elements) > 1

    def element_id(self, position: int) -> str:
        """Return the id of an element as users type it."""
        return f"{self.job_id}_{position}" if self.is_array else self.job_id


@dataclass(frozen=True, slots=True)
class Submission:
    """One call of `submit` or `retry`; `outcome` is "" while it is under way."""

    name: str
    executor: str
    cluster: str
    user: str
    host: str
    pid: int
    created: float
    outcome: str = ""
    chunks: tuple[ArrayJob, ...] = ()

    def with_chunk(self, chunk: ArrayJob) -> "Submission":
        """Return it with `chunk` added, in place of one with the same name."""
        others = tuple(c for c in self.chunks if c.job_name != chunk.job_name)
        return replace(self, chunks=(*others, chunk))


def new_submission(executor: str, cluster: str = "") -> Submission:
    """Return a submission by this process, with a name nobody else has."""
    now = time.time()
    # UTC and first in the name: names in order are submissions in order, whatever host wrote them.
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    name = f"{stamp}-{secrets.token_hex(3)}"
    host, pid = socket.gethostname(), os.getpid()
    return Submission(name, executor, cluster, user_name(), host, pid, now)


def write_submission(directory: Path, submission: Submission) -> None:
    """Make `submission` what the ledger says of it."""
    replace_file(directory / f"{submission.name}.json", to_json(asdict(submission)))


def read_ledger(directory: Path) -> list[Submission]:
    """Return all submissions, oldest first; PanicError names a file that is not one."""
    if not directory.is_dir():
        return []
    # Names with a dot are temporaries of a write that was cut short.
    return [read_submission(path) for path in sorted(directory.glob("[!.]*.json"))]


def read_submission(path: Path) -> Submission:
    """Return the submission in `path`; PanicError where it is not one."""
    value = read_json(path)
    try:
        # It is written again under its name.
        if value["name"] != path.stem:
            raise ValueError(f"its name is {value['name']!r}")
        chunks = tuple(_chunk(chunk) for chunk in value.pop("chunks"))
        return Submission(**value, chunks=chunks)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise PanicError(f"{path} is not a submission ({error})") from error


def _chunk(value: dict[str, Any]) -> ArrayJob:
    elements: Sequence[Sequence[int]] = value.pop("elements")
    return ArrayJob(**value, elements=tuple(tuple(element) for element in elements))
