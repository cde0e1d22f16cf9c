"""What sbatch, squeue, scancel and the nodes do, with their failures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from panic_hpc import exit_codes
from panic_hpc.backends.slurm.queue import QueueRow
from panic_hpc.errors import LaunchError
from panic_hpc.types import ShardId
from panic_hpc.workspace.process import SlurmIds
from panic_hpc.workspace.status import ACTIVE, NEVER
from simulated_world.processes import Host, Task, World

REMEMBERED_S = 300.0
"""MinJobAge: how long squeue knows of a job that has ended."""
KILL_AFTER_S = 30.0
WALLTIME_S = 1500.0
LONGEST_WAIT_S = 300.0


@dataclass(eq=False, slots=True)
class Element:
    """One array task, or the one task of a job: its shards, and how it stands."""

    array: "Array"
    position: int
    shards: tuple[int, ...]
    waits_for: list["Element"]
    correlated: bool
    state: str = "PENDING"
    reason: str = "Priority"
    node: str = ""
    restarts: int = 0
    ended: float = 0.0
    cancelled: bool = False
    process: Task | None = None

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


@dataclass(eq=False, slots=True)
class Array:
    """What one sbatch submitted."""

    id: str
    name: str
    stage: str
    options: Any
    sender: Task | None
    elements: list[Element] = field(default_factory=list)


class Scheduler:
    """A scheduler of as many nodes as there are hosts for jobs."""

    def __init__(self, world: World, run: Callable[[Element, float], Any]) -> None:
        self.world = world
        self.run = run
        self.nodes: list[Host] = []
        self.arrays: list[Array] = []
        self.deaf_until = 0.0
        self.requeues = True

    def sbatch(self, job: Any, tasks: Sequence[Sequence[int]], options: Any) -> str:
        """Queue an array and return its id; LaunchError where that is refused, or seems to be."""
        world, chance = self.world, self.world.chance
        world.record.submits()
        world.door()
        if not world.calm and chance.random() < 0.03:
            world.happened["sbatch refused"] += 1
            raise LaunchError("sbatch refused it")
        array = Array(str(len(self.arrays) + 1), job.name, job.stage, options, world.current)
        for position, shards in enumerate(tasks):
            element = Element(array, position, tuple(shards), *self._waits(job, position))
            array.elements.append(element)
            world.record.submitted(element)
        self.arrays.append(array)
        for element in array.elements:
            world.at(world.time + LONGEST_WAIT_S * chance.random(), self._starter(element))
        world.door()
        if not world.calm and chance.random() < 0.03:
            world.happened["answer of sbatch lost"] += 1
            raise LaunchError("sbatch timed out")
        return array.id

    def _waits(self, job: Any, position: int) -> tuple[list[Element], bool]:
        kind, _, ids = job.dependency.partition(":")
        if kind == "aftercorr":
            return [self._of(ids)[position]], True
        return [one for identifier in ids.split(":") if ids for one in self._of(identifier)], False

    def _of(self, identifier: str) -> list[Element]:
        number, _, position = identifier.partition("_")
        elements = self.arrays[int(number) - 1].elements
        return [elements[int(position)]] if position else elements

    def _starter(self, element: Element) -> Callable[[], None]:
        return lambda: self._consider(element)

    def _consider(self, element: Element) -> None:
        """Start an element that waits for nothing."""
        if element.state != "PENDING":
            return
        element.reason = self._why_not(element)
        if not element.reason:
            self._begin(element)

    def _why_not(self, element: Element) -> str:
        if any(source.is_active for source in element.waits_for):
            return "Dependency"
        if element.correlated and element.waits_for[0].state != "COMPLETED":
            return NEVER
        return ""

    def _begin(self, element: Element) -> None:
        world = self.world
        host = world.chance.choice(self.nodes)
        element.state, element.node = "RUNNING", host.name
        array = element.array
        is_array = len(array.elements) > 1
        slurm = SlurmIds(
            f"{array.id}.{element.position}" if is_array else array.id,
            array.id if is_array else "",
            str(element.position) if is_array else "",
            element.restarts,
            0,
            host.name,
        )
        deadline = world.time + host.ahead_s + WALLTIME_S
        attempt = element.restarts
        element.process = world.start(
            host,
            "alice",
            lambda: self.run(element, deadline),
            slurm,
            lambda code: self._ended(element, attempt, code),
        )
        world.at(world.time + WALLTIME_S, lambda: self._time_is_up(element, attempt))

    def _time_is_up(self, element: Element, attempt: int) -> None:
        if element.restarts == attempt and element.process and element.process.alive:
            self.world.happened["time limit"] += 1
            self.end(element, "TIMEOUT")

    def _ended(self, element: Element, attempt: int, code: int | None) -> None:
        if element.restarts != attempt or element.state not in ("RUNNING", "COMPLETING"):
            return None
        if code == exit_codes.INTERRUPTED and self.requeues and not element.cancelled:
            return self._requeue(element)
        state = {exit_codes.OK: "COMPLETED"}.get(code if code is not None else -1, "FAILED")
        self.finish(element, "CANCELLED" if element.cancelled else state)
        return None

    def _requeue(self, element: Element) -> None:
        self.world.happened["requeued"] += 1
        element.restarts += 1
        element.state, element.reason, element.process = "PENDING", "BeginTime", None
        wait = LONGEST_WAIT_S * self.world.chance.random()
        self.world.at(self.world.time + wait, self._starter(element))

    def end(self, element: Element, state: str) -> None:
        """Kill what runs of an element, whose last state is given."""
        process = element.process
        self.finish(element, state)
        if process:
            self.world.kill(process)

    def finish(self, element: Element, state: str) -> None:
        element.state, element.ended, element.process = state, self.world.time, None
        for one in self.elements():
            # Now, so that whoever asks squeue for a reason gets it.
            if element in one.waits_for:
                self._consider(one)

    def elements(self) -> Iterator[Element]:
        return (element for array in self.arrays for element in array.elements)

    def fail_node(self, host: Host) -> None:
        """Let a node go down with all that runs on it; its jobs are requeued, or not."""
        self.world.happened["node lost"] += 1
        host.boots += 1
        doomed = [one for one in self.elements() if one.process and one.process.on is host]
        processes = [one.process for one in doomed]
        for element in doomed:
            if self.requeues and not element.cancelled:
                self._requeue(element)
            else:
                self.finish(element, "NODE_FAIL")
        # Whoever this happens to goes last: with it, this call ends.
        for process in sorted(processes, key=lambda one: one is self.world.current):
            self.world.kill(process)  # type: ignore[arg-type]

    def forget(self, element: Element) -> None:
        """Lose a job, its process and every memory of it."""
        self.world.happened["job lost"] += 1
        process = element.process
        self.finish(element, "FAILED")
        element.ended -= REMEMBERED_S
        if process:
            self.world.kill(process)

    def squeue(self, names: Any) -> list[QueueRow]:
        """Return the rows of jobs with these names; LaunchError where nobody answers."""
        self.world.door()
        if self.world.time < self.deaf_until and not self.world.calm:
            raise LaunchError("squeue: Unable to contact slurm controller")
        wanted = set(names)
        return [
            self._row(element)
            for element in self.elements()
            if element.array.name in wanted
            and (element.is_active or self.world.time - element.ended < REMEMBERED_S)
        ]

    def _row(self, element: Element) -> QueueRow:
        array = element.array
        tasks = (element.position,) if len(array.elements) > 1 else ()
        return QueueRow(array.id, tasks, element.state, element.node, array.name, element.reason)

    def scancel(self, ids: Sequence[str]) -> None:
        """Cancel array tasks and jobs: SIGTERM, and SIGKILL when that is not heard."""
        for element in [one for identifier in ids for one in self._of(identifier)]:
            self.world.door()
            element.cancelled = True
            if element.state == "PENDING":
                self.finish(element, "CANCELLED")
            elif element.process:
                element.state = "COMPLETING"
                if element.process.stopper:
                    element.process.stopper.signalled(15)
                late = self.world.time + KILL_AFTER_S
                self.world.at(late, lambda e=element: self._force(e))  # type: ignore[misc]

    def _force(self, element: Element) -> None:
        if element.state == "COMPLETING":
            self.end(element, "CANCELLED")

    def working_on(self, stage: str, index: int) -> list[Element]:
        """Return the elements that are to run or running and have a shard in their list."""
        return [
            element
            for element in self.elements()
            if element.is_active and element.array.stage == stage and index in element.shards
        ]


def shard_ids(element: Element) -> list[ShardId]:
    return [ShardId(element.array.stage, index) for index in element.shards]
