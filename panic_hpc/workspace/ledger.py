"""The ledger: one JSON file a submission, true at every moment, whatever happens half-way.

Each array job is written before sbatch is called, without an id, and again with the one it gave; a
submitter that dies in between leaves the job's name, by which the scheduler finds the job.
"""

import os
import secrets
import socket
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.errors import PanicError
from panic_hpc.validation.record import Count, Moment, as_record
from panic_hpc.workspace.process import user_name, was_started_before


@dataclass(frozen=True, slots=True)
class ArrayJob:
    """What one sbatch call submitted: an array, or a single job where it has one task only.

    stage, job_name: what it works on, and what squeue knows it by.
    tasks: the shards (by number) of each array task.
    folder: where its pickles and logs are.
    job_id: "" until sbatch gave one.
    dependency: what it was told to wait for.
    options: what was asked for each job: partition, cpus, gpus, mem_gb, walltime_min, tasks.
    submitted: when, in seconds since the epoch.
    cancelled: whether somebody cancelled it since.
    """

    stage: str
    job_name: str
    tasks: tuple[tuple[Count, ...], ...]
    folder: str
    job_id: str = ""
    dependency: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    submitted: Moment = 0.0
    cancelled: bool = False

    @property
    def is_array(self) -> bool:
        """Whether it is an array; submitit submits a task that is alone as a plain job."""
        return len(self.tasks) > 1

    def task_id(self, position: int) -> str:
        """Return the id of an array task as users type it."""
        return f"{self.job_id}_{position}" if self.is_array else self.job_id


@dataclass(frozen=True, slots=True)
class Submission:
    """One call of `submit` or `retry`.

    name: one that nobody else has; names in order are submissions in order.
    executor, cluster: "slurm", "local" or "inline", and the name of the profile.
    user, host, pid: whose call it was, and the process that made it.
    created: when, in seconds since the epoch.
    outcome: what became of it; "" while jobs are being submitted, "running" while it works here.
    array_jobs: what it has submitted so far.
    """

    name: str
    executor: str
    cluster: str
    user: str
    host: str
    pid: Count
    created: Moment
    outcome: str = ""
    array_jobs: tuple[ArrayJob, ...] = ()

    @property
    def is_running_here(self) -> bool:
        """Whether the process that made the call is on this host and still works."""
        here = self.outcome == "running" and self.host == socket.gethostname()
        # btime is cut to a second.
        return here and was_started_before(self.pid, self.created + 1.0)

    def with_array_job(self, array_job: ArrayJob) -> "Submission":
        """Return it with `array_job` added, in place of one with the same name."""
        others = tuple(c for c in self.array_jobs if c.job_name != array_job.job_name)
        return replace(self, array_jobs=(*others, array_job))


def new_submission(executor: str, cluster: str = "") -> Submission:
    """Return a submission by this process, with a name nobody else has."""
    now = clock.now()
    # UTC and first in the name: names in order are submissions in order, whatever host wrote them.
    stamp = clock.stamp(now)
    name = f"{stamp}-{secrets.token_hex(3)}"
    host, pid = socket.gethostname(), os.getpid()
    return Submission(name, executor, cluster, user_name(), host, pid, now)


def write_submission(directory: Path, submission: Submission) -> None:
    """Make `submission` what the ledger says of it."""
    replace_file(directory / f"{submission.name}.json", to_json(_value(submission)))


def _value(submission: Submission) -> dict[str, Any]:
    """Return the JSON value of a submission, in the words that ledgers have had from the first."""
    value = asdict(submission)
    value["chunks"] = value.pop("array_jobs")
    for job in value["chunks"]:
        job["elements"] = job.pop("tasks")
    return value


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
        submission = as_record(Submission, _in_our_words(value))
        # It is written again under its name.
        if submission.name != path.stem:
            raise ValueError(f"its name is {submission.name!r}")
        return submission
    except ValueError as error:
        raise PanicError(f"{path} is not a submission ({error})") from error


def _in_our_words(value: Any) -> Any:
    """Return a ledger's JSON value with the names that its dataclasses have today."""
    if not isinstance(value, dict) or not isinstance(value.get("chunks"), list):
        raise ValueError("it has no chunks")
    jobs = [
        {("tasks" if name == "elements" else name): item for name, item in job.items()}
        for job in value["chunks"]
        if isinstance(job, dict)
    ]
    if len(jobs) < len(value["chunks"]):
        raise ValueError("a chunk is no table")
    rest = {name: item for name, item in value.items() if name != "chunks"}
    return rest | {"array_jobs": jobs}
