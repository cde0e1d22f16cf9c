"""Who a process is, so that another one can tell later whether it is still there."""

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SlurmIds:
    """The ids that Slurm gave a process; all empty or 0 outside of a job."""

    job: str = ""
    array_job: str = ""
    array_task: str = ""
    restarts: int = 0
    rank: int = 0
    node: str = ""

    @property
    def label(self) -> str:
        """The id as users type it: `123_4` for an array task, `123` for a job, "" for none."""
        return f"{self.array_job}_{self.array_task}" if self.array_job else self.job


@dataclass(frozen=True, slots=True)
class Process:
    """One process of one boot of one host.

    `started` is in clock ticks since boot (proc(5), field 22): a pid alone is used again.
    `namespace` tells apart containers whose pids mean different processes on one host.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int
    user: str
    slurm: SlurmIds

    def to_json(self) -> dict[str, Any]:
        """Return the JSON value that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Process":
        """Return the process written by `to_json`; KeyError or TypeError where it is not one."""
        known = {field.name: value[field.name] for field in fields(cls)}
        return cls(**{**known, "slurm": SlurmIds(**value["slurm"])})


def slurm_ids(environ: Mapping[str, str] = os.environ) -> SlurmIds:
    """Return the ids of the job that this process belongs to."""
    return SlurmIds(
        job=environ.get("SLURM_JOB_ID", ""),
        array_job=environ.get("SLURM_ARRAY_JOB_ID", ""),
        array_task=environ.get("SLURM_ARRAY_TASK_ID", ""),
        # Slurm sets no SLURM_RESTART_COUNT on the first attempt.
        restarts=int(environ.get("SLURM_RESTART_COUNT") or 0),
        rank=int(environ.get("SLURM_PROCID") or 0),
        node=environ.get("SLURMD_NODENAME", ""),
    )


def this_process() -> Process:
    """Return the identity of the calling process."""
    boot, namespace = _place()
    return Process(
        host=socket.gethostname(),
        boot=boot,
        namespace=namespace,
        pid=os.getpid(),
        started=start_ticks(os.getpid()),
        user=user_name(),
        slurm=slurm_ids(),
    )


def user_name() -> str:
    """Return the name of the user, or the number where it has none (containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def is_running(process: Process) -> bool | None:
    """Return whether `process` runs now; None where that cannot be seen from here."""
    # Not by host name: containers share or invent theirs.
    if (process.boot, process.namespace) != _place():
        return None
    return start_ticks(process.pid) == process.started


def start_ticks(pid: int) -> int:
    """Return when `pid` was started, in clock ticks since boot; -1 where it runs no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    # The command name is in parentheses and may hold spaces and parentheses of its own.
    state, *rest = stat.rpartition(")")[2].split()
    # A zombie keeps its entry until its parent waits. Field 22 is rest[18]: the state is field 3.
    return -1 if state in "ZX" else int(rest[18])


def was_started_before(pid: int, moment: float) -> bool:
    """Return whether `pid` runs now and did at `moment` (seconds since the epoch).

    A process that was given the pid of one that has ended since is a later one.
    """
    ticks = start_ticks(pid)
    return ticks >= 0 and _boot_time() + ticks / os.sysconf("SC_CLK_TCK") <= moment


@cache
def _boot_time() -> float:
    lines = Path("/proc/stat").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))


@cache
def _place() -> tuple[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, os.readlink("/proc/self/ns/pid")
