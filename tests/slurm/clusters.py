"""Profiles of the testbed for one test each, and what tests do with its queue."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from little_experiment import run_command, signal_if, wait_for

from panic_hpc.backends.status_query import query_status
from panic_hpc.workspace.workspace import open_workspace

SLOW_S = 0.5
"""What a step of the slow experiment takes."""


def profile(directory: Path, text: str = "") -> Path:
    """Write a profile that extends the testbed's by `text`, and return its path."""
    path = directory / "profile.toml"
    path.write_text(f'extends = "testbed"\nname = "own"\n{text}')
    return path


def submit(root: Path, cluster: Path | str = "testbed", *stages: str, **options: Any) -> str:
    """Submit an experiment to the testbed."""
    chosen = [word for stage in stages for word in ("--stage", stage)]
    return run_command("submit", root, "--cluster", cluster, "--yes", *chosen, **options)


def states(root: Path, stage: str) -> list[str]:
    """Return the states of a stage's shards, in order."""
    return [one.state for one in query_status(open_workspace(root)).status.stages[stage]]


def wait_until_over(root: Path, seconds: float = 240.0) -> None:
    """Wait until no job of the experiment is in the queue, and no shard is being worked on."""

    def is_over() -> bool:
        return all(
            one.state != "submitted" for one in query_status(open_workspace(root)).status.all()
        )

    wait_for(is_over, "the queue to be empty", seconds)


def wait_until_running(root: Path, stage: str = "runs", index: int = 0) -> Any:
    """Wait until a shard is some steps on its way, and return its status."""

    def moving() -> Any:
        one = query_status(open_workspace(root)).status.stages[stage][index]
        return one if one.running and one.done > 0 else None

    return wait_for(moving, f"{stage} {index} to be on its way")


def slurm_command(*words: str) -> str:
    """Run one of Slurm's commands and return what it prints."""
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=180)
    return done.stdout


def processes(of_job: str, marked: str) -> list[int]:
    """Return the pids of the processes of a job whose command line holds `marked`."""
    job = raw_id(of_job)
    pids = [int(process.name) for process in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if _is_of(pid, job, marked)]


def _is_of(pid: int, job: str, marked: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return marked.encode() in words and f"SLURM_JOB_ID={job}".encode() in variables


def kill_processes(of_job: str, marked: str) -> None:
    """Kill the processes of a job that `processes` finds.

    An end of one may end another before its turn: srun is two processes, and they die together.
    """
    job = raw_id(of_job)
    for pid in processes(of_job, marked):
        signal_if(pid, signal.SIGKILL, lambda own: _is_of(own, job, marked))


def raw_id(job: str) -> str:
    """Return the number that Slurm knows an array task by itself."""
    shown = slurm_command("squeue", "--noheader", "--states=all", "-j", job, "-o", "%A").split()
    return shown[0] if shown else job


def log_of(root: Path) -> str:
    """Return everything that the experiment's jobs wrote."""
    return "".join(
        path.read_text(errors="replace") for path in sorted(root.glob("jobs/submitit/*/*_log.out"))
    )


def content_key(root: Path) -> str:
    """Return the content key of the experiment's dataset, merged where it is not yet."""
    return str(json.loads(run_command("merge", root, "--json"))["content_key"])


def environment(**variables: str) -> dict[str, str]:
    """Return this process' environment with `variables`."""
    return {**os.environ, **variables}
