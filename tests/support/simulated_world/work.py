"""The stages of the simulated world, and the worker that executes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from panic_hpc import clock
from panic_hpc.errors import Interrupted, ShardError
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.base import ABSENT, Context
from panic_hpc.types import Shard, ShardId
from panic_hpc.worker.stopper import Stopper
from panic_hpc.worker.worker import Worker, run_worker
from panic_hpc.workspace.workspace import Workspace
from simulated_world.processes import Task, World
from simulated_world.scheduler import Element, shard_ids

UNITS = 3
"""Steps of a shard's work, each of which its journal keeps."""
STEP_S = 160.0
METER = SimpleNamespace(joules=lambda: None, since=lambda joules: {})


@dataclass(frozen=True)
class SimulatedStage:
    """A stage whose results are tuples: what was done, and what it was made of."""

    name: str
    after: tuple[str, ...]
    planned: tuple[Shard, ...]
    world: World
    launch: str = "shards"
    settings: None = None
    resumes: bool = True

    def shards(self, manifest: Any) -> Sequence[Shard]:
        """Return what the real stage planned."""
        return self.planned

    def lacking(self, paths: ExperimentPaths, shard: Shard) -> str:
        """Return what the contract says."""
        return "" if paths.shard(shard).exists() else ABSENT

    def execute(self, context: Context, shard: Shard) -> None:
        """Read the inputs, do the steps that the journal lacks, publish, forget the journal."""
        world, paths = self.world, context.paths
        world.record.executes(shard)
        place: Any = paths.shard(shard)
        try:
            if not place.exists():
                sources = tuple(self._read(paths, needed) for needed in shard.inputs)
                steps = self._work(context, shard)
                world.record.publish(shard, (shard.id, steps, sources), place)
            remove(world, paths.checkpoint(shard))
        finally:
            world.record.leaves(shard)

    def _read(self, paths: ExperimentPaths, needed: ShardId) -> Any:
        world = self.world
        place: Any = paths.shard(world.record.shards[needed])
        world.door()
        file = world.files.at(place)
        if file is None:
            raise ShardError(f"{place} is not there")
        return file.content

    def _work(self, context: Context, shard: Shard) -> tuple[int, ...]:
        world = self.world
        done = self._opened_journal(context, shard)
        if world.chance.random() < 0.02 and not world.calm:
            world.happened["disk full"] += 1
            raise OSError(28, "No space left on device")
        if world.chance.random() < 0.02 and not world.calm:
            world.happened["work failed"] += 1
            raise ShardError("one of those days")
        for unit in range(len(done), UNITS):
            if reason := context.should_stop(STEP_S):
                raise Interrupted(reason)
            clock.sleep(STEP_S * world.chance.random())
            world.door()
            done.append(unit)
            context.report(unit + 1, UNITS)
        return tuple(done)

    def _opened_journal(self, context: Context, shard: Shard) -> list[int]:
        """Return the steps of a journal in a file of its own, as opening one does."""
        world = self.world
        place: Any = context.paths.checkpoint(shard)
        world.door()
        file = world.files.at(place)
        done = list(file.content) if file else []
        world.files.replace(place, done, world.host, world.time)
        context.report(len(done), UNITS)
        return done


def remove(world: World, place: Any) -> None:
    """Remove a name."""
    world.door()
    world.files.remove(place, world.host, world.time)


@dataclass
class Record:
    """What happened, as nobody in the world can know it, and what must not have."""

    world: World
    shards: Mapping[ShardId, Shard]
    expected: Mapping[ShardId, Any]
    lock: Any
    contents: dict[ShardId, Any] = field(default_factory=dict)
    executing: dict[ShardId, list[Task]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    strict_queue: bool = True

    def executes(self, shard: Shard) -> None:
        """Somebody begins: nobody else may be at it, and all that it reads must be there."""
        task = self.world.current
        assert task is not None
        for needed in shard.inputs:
            if needed not in self.contents:
                self.wrong.append(f"{shard.id} was begun without {needed}")
        others = [one for one in self.executing.get(shard.id, []) if one.alive]
        for other in others:
            if not (other.excused or task.excused or skewed(other, task)):
                self.wrong.append(f"two work on {shard.id}: {other.process}, {task.process}")
        if others:
            self.world.happened["two at one shard, one of them fenced out"] += 1
        self.executing[shard.id] = [*others, task]

    def leaves(self, shard: Shard) -> None:
        """Somebody is done with a shard, one way or another."""
        task = self.world.current
        if task in self.executing.get(shard.id, []):
            self.executing[shard.id].remove(task)

    def publish(self, shard: Shard, content: Any, place: Any) -> None:
        """Link a file to its name, as `disk.publish.link_first` does, and note what that did."""
        world = self.world
        if content != self.expected[shard.id]:
            self.wrong.append(f"{shard.id} would be published as {content}")
        world.door()
        if world.files.create(place, content, world.host, world.time):
            if shard.id in self.contents:
                self.wrong.append(f"{shard.id} was published twice")
            self.contents[shard.id] = content
        # A host that tried to change a directory has seen it.
        world.files.fresh[place.directory, world.host] = world.time
        world.door()

    def submits(self) -> None:
        """Somebody is about to queue something: the lock of submitters must be his."""
        task, lock = self.world.current, self.world.files.at(self.lock)
        if task is not None and (lock is None or lock.owner is not task):
            self.wrong.append(f"{task.process} submits without the lock")

    def submitted(self, element: Element) -> None:
        """Something is queued: nothing else that is queued or runs may have its shards."""
        world = self.world
        for shard in shard_ids(element) if self.strict_queue else ():
            for other in world.scheduler.working_on(shard.stage, shard.index):
                # Who is stopped between his last look at the lock and sbatch cannot know.
                if not any(task and task.excused for task in (world.current, other.array.sender)):
                    self.wrong.append(f"{shard} was submitted while {other.array.id} has it")


def skewed(one: Task, other: Task) -> bool:
    """Whether clocks differ by more than leases can take."""
    return abs(one.on.ahead_s - other.on.ahead_s) > 300.0


def undisturbed(shards: Mapping[ShardId, Shard]) -> dict[ShardId, Any]:
    """Return what shards hold where nothing ever happens; inputs come first. Pure."""
    contents: dict[ShardId, Any] = {}
    for shard in shards.values():
        sources = tuple(contents[needed] for needed in shard.inputs)
        contents[shard.id] = (shard.id, tuple(range(UNITS)), sources)
    return contents


def run_job(world: World, workspace: Workspace, element: Element, deadline: float) -> int:
    """Do what an array task does, and return its exit code."""
    task = world.current
    assert task is not None
    worker: Any = object.__new__(Worker)
    worker.workspace, worker.options = workspace, element.array.options
    worker.process, worker.device = task.process, "cpu"
    worker.stopper = task.stopper = Stopper(workspace.paths.halt, deadline=deadline)
    worker._provenance, worker._meter = {}, METER
    return run_worker(worker, element.array.stage, element.shards)
