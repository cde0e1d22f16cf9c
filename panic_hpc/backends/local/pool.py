"""A bounded pool of worker processes on this machine, through submitit's LocalExecutor.

submitit's own `map_array` starts everything at once and its jobs end after two minutes unless told
otherwise; here each worker is one job that works through many shards, so that models are loaded
once a worker. Results are files: nothing is unpickled here.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.disk.private_dirs import private_folder
from panic_hpc.worker.array_task import run_array_task
from panic_hpc.worker.device import ASSIGNED_VARIABLE, gpu_numbers
from panic_hpc.worker.worker import WorkerOptions

NO_LIMIT_MIN = 366 * 24 * 60
POLL_S = 0.25
GRACE_S = 120.0


@dataclass(frozen=True, slots=True)
class Pool:
    """How local workers are started: where their logs go, how many, with which variables."""

    root: Path
    folder: Path
    workers: int
    environment: Mapping[str, str]


def run_pool(
    pool: Pool, stage: str, indices: Sequence[int], options: WorkerOptions, tick: Callable[[], None]
) -> None:
    """Start the workers of one stage and wait for them, calling `tick` meanwhile.

    KeyboardInterrupt is passed on once every worker has left its checkpoint and ended. What became
    of the shards is in their files: submitit's controllers keep no exit codes.
    """
    jobs = [_start(pool, slot, stage, indices, options) for slot in range(pool.workers)]
    try:
        while not all(job.done() for job in jobs):
            tick()
            clock.sleep(POLL_S)
    except KeyboardInterrupt:
        _end(jobs)
        raise


def default_workers(n_cores: int, workers_per_gpu: int = 1) -> int:
    """Return so many workers a GPU, else one for every `n_cores` of this process's cores."""
    cores = len(os.sched_getaffinity(0))
    return workers_per_gpu * len(gpu_numbers()) or max(1, cores // max(1, n_cores))


def _start(
    pool: Pool, slot: int, stage: str, indices: Sequence[int], options: WorkerOptions
) -> Any:
    from submitit.local.local import LocalExecutor

    # Not AutoExecutor: it refuses visible_gpus, and then every job gets GPU 0.
    executor = LocalExecutor(private_folder(pool.folder))
    gpus = gpu_numbers()
    mine = gpus[slot % len(gpus)] if gpus else ""
    # submitit takes numbers only, and clusters name GPUs and parts of them: GPU-…, MIG-….
    numbered = {"gpus_per_node": 1, "visible_gpus": [int(mine)]} if mine.isdigit() else {}
    named = {ASSIGNED_VARIABLE: mine} if mine and not numbered else {}
    executor.update_parameters(timeout_min=NO_LIMIT_MIN, stderr_to_stdout=True, **numbered)
    with _child_environment({**pool.environment, **named}):
        return executor.submit(
            run_array_task, str(pool.root), stage, tuple(indices), asdict(options)
        )


@contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Add `variables` to this process's own, and take them away again."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _child_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let children started inside have `variables`, and ignore the terminal's Ctrl-C.

    Ctrl-C reaches every process of the terminal; workers are told by SIGTERM instead, once.
    """
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with environment_of(variables):
            yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _end(jobs: Sequence[Any]) -> None:
    """Ask all workers to checkpoint and end; those that do not within GRACE_S are killed.

    Asked again and again: a worker that is still importing does not listen yet.
    """
    give_up = clock.monotonic() + GRACE_S
    while running := [job for job in jobs if not job.done()]:
        number = signal.SIGTERM if clock.monotonic() < give_up else signal.SIGKILL
        for job in running:
            # submitit's controller hands SIGTERM on. Its own job.cancel sends it SIGINT, and its
            # preemption signal ends the controller and leaves the worker running.
            job._process.send_signal(number)
        clock.sleep(0.5)
