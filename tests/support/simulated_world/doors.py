"""What is put in place of the package's own doors to the world: everything that acts."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from panic_hpc import clock
from panic_hpc.backends import status_query
from panic_hpc.backends.slurm import backend, cancel, proposal, queue, retry_policy, sbatch
from panic_hpc.errors import AbsentError
from panic_hpc.worker import stopper, worker
from panic_hpc.workspace import leases, ledger, shard_files
from panic_hpc.workspace.lease_text import Lease
from simulated_world.files import Place
from simulated_world.processes import World, at_moment

USAGE = SimpleNamespace(
    RUSAGE_SELF=0,
    RUSAGE_CHILDREN=-1,
    getrusage=lambda who: SimpleNamespace(ru_maxrss=0, ru_utime=0.0, ru_stime=0.0),
)


@dataclass
class Doors:
    """The doors of the world whose turn it is; one set serves all histories of a process."""

    world: World = None  # type: ignore[assignment]

    # The clock.

    def now(self) -> float:
        return self.world.now

    def monotonic(self) -> float:
        return self.world.time

    def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)

    # Names and files.

    def token_hex(self, nbytes: int) -> str:
        return f"{self.world.chance.getrandbits(8 * nbytes):0{2 * nbytes}x}"

    def create(self, place: Place, content: Any) -> bool:
        world = self.world
        world.door()
        return world.files.create(place, content, world.host, world.time) is not None

    def replace(self, place: Place, content: Any) -> None:
        world = self.world
        world.door()
        world.files.replace(place, content, world.host, world.time)

    def rename(self, source: Place, place: Place) -> None:
        world = self.world
        world.door()
        world.files.rename(source, place, world.host, world.time)

    def remove(self, place: Place) -> None:
        world = self.world
        world.door()
        world.files.remove(place, world.host, world.time)

    def read(self, place: Place) -> Any:
        world = self.world
        world.door()
        file = world.files.seen(place, world.host, world.time)
        return file.content if file else None

    def names(self, place: Place) -> list[str]:
        world = self.world
        world.door()
        return world.files.names(str(place), world.host, world.time)

    # Leases: the file that was opened stays this one, whatever has its name now.

    def create_lease(self, place: Place, lease: Any) -> bool:
        return self.create(place, at_moment(lease, lease.progress, self.world.time))

    def open_lease(self, place: Place) -> Any:
        world = self.world
        world.door()
        file = world.files.at(place)
        if file is None:
            raise FileNotFoundError(place)
        # It may be a successor's, where this process stood still before it opened the name.
        if world.current is not None and file.content.owner == world.current.process:
            file.owner = world.current
            world.current.holds.append(file)
        return file

    def write_progress(self, file: Any, progress: Any, offset: int) -> None:
        self.world.door()
        file.touched = self.world.time
        file.content = at_moment(file.content, progress, file.touched)

    def close_lease(self, file: Any) -> None:
        if file.owner is self.world.current:
            file.owner = None

    # The ledger.

    def write_submission(self, directory: Place, submission: Any) -> None:
        self.replace(directory / f"{submission.name}.json", submission)

    def read_ledger(self, directory: Place) -> list[Any]:
        found = [self.read(directory / name) for name in sorted(self.names(directory))]
        return [submission for submission in found if submission is not None]

    def this_process(self) -> Any:
        assert self.world.current is not None
        return self.world.current.process


def nothing(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


@contextmanager
def installed() -> Iterator[Doors]:
    """Put the doors in the place of the package's own, meanwhile."""
    doors = Doors()
    with pytest.MonkeyPatch.context() as patch, clock.replaced(doors):
        for module, names in _replaced(doors):
            for name, value in names.items():
                patch.setattr(module, name, value, raising=False)
        yield doors


def _replaced(doors: Doors) -> Iterator[tuple[ModuleType, dict[str, Any]]]:
    tokens = SimpleNamespace(token_hex=doors.token_hex)
    listing = SimpleNamespace(
        listdir=doors.names, environ={}, close=doors.close_lease, getpid=lambda: -1
    )

    def running(process: Any) -> bool | None:
        return doors.world.is_running(process)

    def halt(kind: type, place: Place) -> Any:
        if (found := doors.read(place)) is None:
            raise AbsentError(f"{place} does not exist")
        return found

    yield leases, {
        "create_file": doors.create_lease, "read_lease": lambda p: doors.world.read_lease(p),
        "rename_over": doors.rename, "write_at": doors.write_progress, "secrets": tokens,
        "encode_lease": lambda lease: lease, "encode_progress": lambda progress: progress,
        # A lease and its progress stand for their bytes.
        "memoryview": lambda value: value,
        "len": lambda value: 0 if isinstance(value, Lease) else len(value),
        "is_running": running, "os": listing,
        "system": SimpleNamespace(
            open_existing=doors.open_lease, remove=doors.remove, sync=nothing,
            named=lambda place: nullcontext(),
        ),
        "threading": SimpleNamespace(
            Thread=lambda **made: SimpleNamespace(start=nothing, join=nothing),
            Lock=nullcontext, Event=lambda: SimpleNamespace(set=nothing),
        ),
    }  # fmt: skip
    yield ledger, {"secrets": tokens}
    yield shard_files, {"os": listing, "read_failure": doors.read}
    yield status_query, {"read_ledger": doors.read_ledger}
    yield stopper, {
        "read_record": halt, "replace_file": doors.replace, "remove": doors.remove,
        "to_json": lambda value: stopper.Halt(**value),
    }  # fmt: skip
    yield worker, {
        "read_failure": doors.read, "write_failure": doors.replace, "remove": doors.remove,
        "os": listing, "resource": USAGE, "say_event": nothing, "print": nothing,
        "memory_bytes": lambda: 2**33, "cores": lambda: 1,
        "signals_noted": lambda stopper: nullcontext(),
    }  # fmt: skip
    yield backend, {
        "_image": nothing, "adopt_sharing": nothing, "this_process": doors.this_process,
        "write_submission": doors.write_submission,
    }  # fmt: skip
    yield cancel, {
        "read_ledger": doors.read_ledger, "write_submission": doors.write_submission,
    }  # fmt: skip
    yield sbatch, {"submit_array": lambda *asked: doors.world.scheduler.sbatch(*asked)}
    yield queue, {
        "rows_of": lambda names: doors.world.scheduler.squeue(names),
        "cancel_jobs": lambda ids: doors.world.scheduler.scancel(ids),
    }  # fmt: skip
    yield (
        proposal,
        {"secrets": tokens, "walltime_problem": nothing, "read_limits": lambda limits: limits},
    )
    yield retry_policy, {"log_paths": lambda *task: []}
