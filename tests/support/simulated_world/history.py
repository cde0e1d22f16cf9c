"""Histories: users submit, retry, cancel and stop an experiment while things happen to it."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from panic_hpc.backends.base import SilentWatcher, SubmitRequest
from panic_hpc.backends.slurm.backend import SlurmBackend
from panic_hpc.backends.status_query import query_status
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.errors import PanicError
from panic_hpc.paths import ExperimentPaths
from panic_hpc.types import Shard, ShardId
from panic_hpc.worker.stopper import clear_halt, write_halt
from panic_hpc.workspace.workspace import Workspace
from simulated_world.doors import Doors, installed
from simulated_world.files import Files, Place
from simulated_world.processes import Host, Task, World
from simulated_world.scheduler import Scheduler
from simulated_world.work import Record, SimulatedStage, run_job, undisturbed

MOST_ROUNDS = 12
PATIENCE_S = 700.0
"""What a user waits who is told that somebody else is at it: until that word is stale."""
JUMPS_S = (-86400.0, -3600.0, -90.0, -20.0, 20.0, 90.0, 3600.0, 86400.0)
LAGS_S = (0.0, 0.0, 5.0, 60.0)


@dataclass(frozen=True)
class Setting:
    """What histories are about: the planned shards by stage, and the profiles to choose from."""

    planned: dict[str, tuple[tuple[str, ...], tuple[Shard, ...]]]
    clusters: tuple[Cluster, ...]
    manifest: Any

    @cached_property
    def shards(self) -> dict[ShardId, Shard]:
        return {shard.id: shard for _, shards in self.planned.values() for shard in shards}

    @cached_property
    def expected(self) -> dict[ShardId, Any]:
        return undisturbed(self.shards)


@dataclass(frozen=True)
class Ended:
    """How a history ended: what was wrong (nothing), what happened, after how many rounds."""

    wrong: tuple[str, ...]
    happened: Counter[str]
    rounds: int


def _whose(task: Task) -> str:
    return "worker killed" if task.process.slurm.job else "submitter killed"


class History:
    """One seeded history of one experiment."""

    def __init__(self, doors: Doors, setting: Setting, seed: int) -> None:
        chance = random.Random(seed)
        lag_s = chance.choice(LAGS_S)
        world = World(chance, Files(chance, lag_s), draw_fates=self._draw_fates)
        doors.world = Place.world = self.world = world
        self.chance, self.cluster = chance, chance.choice(setting.clusters)
        for name in ("login1", "login2", "node1", "node2", "node3"):
            world.hosts[name] = Host(name, chance.choice((0.0, 0.0, 0.0, -2.0, 3.0)))
        if lag_s:
            world.happened["late visibility"] += 1
        stages: dict[str, Any] = {
            name: SimulatedStage(name, after, shards, world)
            for name, (after, shards) in setting.planned.items()
        }
        paths: Any = ExperimentPaths(Place("", "exp"))  # type: ignore[arg-type]
        self.workspace = Workspace(setting.manifest, paths, stages)
        world.record = Record(world, setting.shards, setting.expected, paths.submit_lock)
        world.record.strict_queue = not lag_s
        scheduler = Scheduler(world, lambda one, end: run_job(world, self.workspace, one, end))
        scheduler.nodes = [world.hosts[name] for name in ("node1", "node2", "node3")]
        scheduler.requeues = self.cluster.limits.requeue
        world.scheduler = self.scheduler = scheduler

    def live(self) -> Ended:
        """Let it happen, then let users go on until all is done; return what came of it."""
        for _ in range(self.chance.randint(2, 6)):
            self.chance.choice(self._actions())()
            self.world.run(self.world.time + self.chance.expovariate(1 / 700.0))
        self.world.calm = True
        rounds = self._go_on_until_done()
        record = self.world.record
        if record.contents != record.expected:
            record.wrong.append(f"after {rounds} rounds: {self._how_it_stands()}")
        return Ended(tuple(record.wrong), self.world.happened, rounds)

    def _actions(self) -> list[Callable[[], None]]:
        return [self._submit] * 5 + [
            self._retry, self._cancel, self._stop, self._clock_jumps, self._node_fails,
            self._scheduler_is_deaf, self._two_submit,
        ]  # fmt: skip

    def _go_on_until_done(self) -> int:
        """Submit and retry in turn, as one does who reads the status; return how often."""
        for number in range(1, MOST_ROUNDS + 1):
            self._user(self._request(retry=number % 2 == 0))
            self.world.run()
            if len(self.world.record.contents) == len(self.world.record.shards):
                return number
            self.world.run(self.world.time + PATIENCE_S)
        return MOST_ROUNDS

    def _how_it_stands(self) -> list[str]:
        found: list[str] = []

        def look() -> None:
            for one in query_status(self.workspace).status.all():
                if one.state != "completed":
                    found.append(f"{one.name} {one.state} {one.detail}")

        self.world.start(self.world.hosts["login1"], "alice", look)
        self.world.run()
        return found

    # What users do.

    def _user(self, work: Callable[[], Any]) -> Task:
        def told() -> None:
            try:
                work()
            except PanicError:
                self.world.happened["refused to a user"] += 1

        name = self.chance.choice(("login1", "login2"))
        user = self.chance.choice(("alice", "bob"))
        return self.world.start(self.world.hosts[name], user, told)

    def _request(self, *, retry: bool = False) -> Callable[[], None]:
        def submit() -> None:
            clear_halt(self.workspace.paths.halt)
            request = SubmitRequest(self.cluster, retry=retry)
            SlurmBackend().submit(self.workspace, request, SilentWatcher())

        self.world.happened["retry" if retry else "submit"] += 1
        return submit

    def _submit(self) -> None:
        self._user(self._request())

    def _two_submit(self) -> None:
        self._user(self._request())
        self._user(self._request())

    def _retry(self) -> None:
        self._user(self._request(retry=True))

    def _cancel(self) -> None:
        def cancel() -> None:
            found = query_status(self.workspace)
            backend = SlurmBackend()
            if ids := backend.active(found, tuple(self.workspace.stages)):
                self.world.happened["cancelled"] += 1
                backend.cancel(self.workspace, ids)

        self._user(cancel)

    def _stop(self) -> None:
        self.world.happened["stop"] += 1
        self._user(lambda: write_halt(self.workspace.paths.halt, "bob", None))

    # What happens to them.

    def _clock_jumps(self) -> None:
        self.world.happened["clock jump"] += 1
        host = self.chance.choice(list(self.world.hosts.values()))
        host.ahead_s += self.chance.choice(JUMPS_S)
        for task in self.world.tasks:
            task.excused |= task.on is host
        logins = [self.world.hosts[name].ahead_s for name in ("login1", "login2")]
        if abs(logins[0] - logins[1]) > 300.0:
            self.world.record.strict_queue = False

    def _node_fails(self) -> None:
        self.scheduler.fail_node(self.chance.choice(self.scheduler.nodes))

    def _scheduler_is_deaf(self) -> None:
        self.world.happened["scheduler deaf"] += 1
        self.scheduler.deaf_until = self.world.time + self.chance.uniform(100.0, 2000.0)

    def _draw_fates(self, task: Task) -> None:
        """Draw at which of its doors which end a process meets; most meet none."""
        if self.world.calm or self.chance.random() > 0.35:
            return
        door = 1 + int(self.chance.expovariate(1 / 25.0))
        fates = [self._killed, self._killed, self._paused]
        if task.process.slurm.job:
            fates += [self._killed_for_memory, self._lost, self._loses_its_node]
        task.fates[door] = self.chance.choice(fates)

    def _killed(self, task: Task) -> None:
        self.world.happened[_whose(task)] += 1
        self.world.kill(task)

    def _paused(self, task: Task) -> None:
        self.world.happened["paused"] += 1
        for file in task.holds:
            self.world.beat(file)
        seconds = self.chance.uniform(10.0, 2500.0)
        task.excused, task.asleep_until = True, self.world.time + seconds
        self.world.sleep(seconds)

    def _killed_for_memory(self, task: Task) -> None:
        self.world.happened["out of memory"] += 1
        self._with_its_element(task, lambda one: self.scheduler.end(one, "OUT_OF_MEMORY"))

    def _lost(self, task: Task) -> None:
        self._with_its_element(task, self.scheduler.forget)

    def _loses_its_node(self, task: Task) -> None:
        self.scheduler.fail_node(task.on)

    def _with_its_element(self, task: Task, what: Callable[[Any], None]) -> None:
        for element in self.scheduler.elements():
            if element.process is task:
                return what(element)
        return None


def setting_of(workspace: Workspace, clusters: tuple[Cluster, ...]) -> Setting:
    """Return what histories of a planned experiment are about; its shards are the real plan's."""
    planned = {
        name: (tuple(stage.after), tuple(workspace.shards(name)))
        for name, stage in workspace.stages.items()
        if workspace.shards(name)
    }
    manifest = SimpleNamespace(
        key=workspace.manifest.key,
        experiment=SimpleNamespace(threads=workspace.manifest.experiment.threads),
    )
    return Setting(planned, clusters, manifest)


def with_limits(cluster: Cluster, **limits: Any) -> Cluster:
    """Return a profile with other limits."""
    return cluster.model_copy(update={"limits": cluster.limits.model_copy(update=limits)})


@dataclass(frozen=True)
class Lived:
    """What came of many histories: what was wrong by seed, what happened, how many rounds each."""

    wrong: dict[int, tuple[str, ...]]
    happened: Counter[str]
    rounds: Counter[int]


def live_all(settings: Sequence[Setting], seeds: Sequence[int], most_wrong: int = 10) -> Lived:
    """Live a history of each seed, until so many of them went wrong."""
    lived = Lived({}, Counter(), Counter())
    with installed() as doors:
        for seed in seeds:
            ended = History(doors, settings[seed % len(settings)], seed).live()
            lived.happened.update(ended.happened)
            lived.rounds[ended.rounds] += 1
            if ended.wrong:
                lived.wrong[seed] = ended.wrong
            if len(lived.wrong) == most_wrong:
                break
    return lived
