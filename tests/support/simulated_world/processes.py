"""Processes, hosts and the clock of the simulated world.

A process is a greenlet that runs the package's own functions. Whatever of them touches the world
goes through a door, and there others may come in between, or the process may meet its end.
"""

import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from greenlet import getcurrent, greenlet

from panic_hpc.workspace.lease_text import Lease, Progress
from panic_hpc.workspace.process import Process, SlurmIds
from simulated_world.files import Files

BUSY = 0.3
"""How often another process comes in between at a door."""
LATENCY_S = 0.5
END_OF_TIME = 1e12


class Killed(BaseException):
    """A process is no more: whatever it still does on its way out has no effect."""


@dataclass(slots=True)
class Host:
    """A machine: how far its clock is ahead, and which boot of it this is."""

    name: str
    ahead_s: float = 0.0
    boots: int = 0

    @property
    def boot(self) -> str:
        return f"{self.name}.{self.boots}"


@dataclass(eq=False, slots=True)
class Task:
    """A process: what it runs, where, and at which of its doors what happens to it."""

    process: Process
    on: Host
    work: Callable[[], Any]
    ended: Callable[[Any], None]
    fates: dict[int, Callable[["Task"], None]]
    doors: int = 0
    alive: bool = True
    asleep_until: float = 0.0
    # Others may rightly take its work over while it lives: it was paused, or clocks disagree.
    excused: bool = False
    stopper: Any = None
    holds: list[Any] = field(default_factory=list)
    greenlet: Any = None


@dataclass(eq=False)
class World:
    """All there is of one history. `happened` counts what was done to it."""

    chance: random.Random
    files: Files
    time: float = 1.75e9
    calm: bool = False
    hosts: dict[str, Host] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    current: Task | None = None
    scheduler: Any = None
    record: Any = None
    draw_fates: Callable[[Task], None] = lambda task: None
    hub: Any = field(default_factory=getcurrent)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)
    _until: float = END_OF_TIME

    @property
    def host(self) -> str:
        return self.current.on.name if self.current else ""

    @property
    def now(self) -> float:
        """The moment by the clock of the host that asks."""
        return self.time + (self.current.on.ahead_s if self.current else 0.0)

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Let something happen at a moment."""
        heappush(self._events, (moment, next(self._numbers), event))

    def run(self, until: float = END_OF_TIME) -> None:
        """Let everything happen that does until a moment, or all of it."""
        self._until = until
        while self._events and self._events[0][0] <= until:
            self.time, _, event = heappop(self._events)
            event()
        if until < END_OF_TIME:
            self.time = until

    def start(
        self,
        host: Host,
        user: str,
        work: Callable[[], Any],
        slurm: SlurmIds = SlurmIds(),  # noqa: B008, it is frozen
        ended: Callable[[Any], None] = lambda result: None,
    ) -> Task:
        """Start a process; `ended` hears what it returned, None where it was killed."""
        pid = next(self._numbers)
        process = Process(host.name, host.boot, "", pid, pid, user, slurm)
        task = Task(process, host, work, ended, {})
        task.greenlet = greenlet(lambda: self._live(task), parent=self.hub)
        self.tasks.append(task)
        self.draw_fates(task)
        self.at(self.time, lambda: self._go_on(task))
        return task

    def _live(self, task: Task) -> None:
        result = None
        try:
            result = task.work()
        except Killed:
            pass
        except Exception:
            self.record.wrong.append(traceback.format_exc())
        task.alive = False
        self.tasks.remove(task)
        task.ended(result)

    def _go_on(self, task: Task) -> None:
        if not task.alive and task.greenlet.dead:
            return
        # A stopped process stays where it is, a killed one leaves at once.
        if task.alive and task.asleep_until > self.time:
            self.at(task.asleep_until, lambda: self._go_on(task))
            return
        before, self.current = self.current, task
        try:
            task.greenlet.switch()
        finally:
            self.current = before

    def kill(self, task: Task) -> None:
        """End a process where it stands."""
        if task.alive:
            task.alive = False
            if task is self.current:
                raise Killed
            # It leaves through its own doors, none of which does anything for it any more.
            self.at(self.time, lambda: self._go_on(task))

    def door(self) -> None:
        """Pass from a process to the world: others may come first, and its fate may wait here."""
        task = self.current
        if task is None:
            return
        if not task.alive:
            raise Killed
        task.doors += 1
        if task.fates and task.doors in task.fates and not self.calm:
            task.fates[task.doors](task)
        if self.chance.random() < BUSY:
            self.sleep(LATENCY_S * self.chance.random())

    def sleep(self, seconds: float) -> None:
        """Let time pass for the process that asks."""
        task = self.current
        if task is None:
            return
        wakes = self.time + seconds
        # Where nothing else happens meanwhile, nobody has to be asked.
        if not (self._events and self._events[0][0] <= wakes) and wakes <= self._until:
            next(self._numbers)
            self.time = wakes
            return
        self.at(wakes, lambda: self._go_on(task))
        self.hub.switch()
        if not task.alive:
            raise Killed

    def is_running(self, process: Process) -> bool | None:
        """Return whether a process runs, None where that cannot be seen from here."""
        if self.current is not None and self.current.on.boot != process.boot:
            return None
        return any(task.alive and task.process == process for task in self.tasks)

    def read_lease(self, place: Any) -> Any:
        """Return the lease under a name; a process that lives has kept its own fresh."""
        self.door()
        file = self.files.seen(place, self.host, self.time)
        if file is None:
            return None
        self.beat(file)
        return file.content

    def beat(self, file: Any) -> None:
        """Let the heartbeat of a lease's owner have been written."""
        task = file.owner
        if task is None or not task.alive or task.asleep_until > self.time:
            return
        beaten = self.time - (self.time - file.named) % 20.0
        if beaten > file.touched:
            self.beat_at(file, beaten)

    def beat_at(self, file: Any, moment: float) -> None:
        lease = file.content
        kind, done, total = lease.progress.kind, lease.progress.done, lease.progress.total
        updated = moment + file.owner.on.ahead_s
        progress = Progress(kind, done, total, updated, lease.progress.reason)
        file.content, file.touched = at_moment(lease, progress, moment), moment


def at_moment(lease: Lease, progress: Progress, touched: float) -> Lease:
    """Return a lease whose file was written at a moment; `dataclasses.replace` takes longer."""
    return Lease(
        lease.token, lease.owner, lease.submission, lease.taken, lease.inherited, lease.deaths,
        progress, touched,
    )  # fmt: skip
