"""The contract of stages: for one shard, read published inputs, publish one file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from panic_hpc import installed
from panic_hpc.errors import ManifestError
from panic_hpc.merging.ranks import Alone, Ranks
from panic_hpc.paths import ExperimentPaths
from panic_hpc.types import ModelSpec, Shard

if TYPE_CHECKING:
    from pydantic import BaseModel

    from panic_hpc.experiment.config import Experiment
    from panic_hpc.planning.manifest import Manifest

Launch = Literal["shards", "ranks"]

ABSENT = "absent"
"""What `Stage.lacking` says of a shard that has no file."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage may know of the world around its shard.

    manifest, paths: the experiment, as planned and on disk.
    device: "cpu" or "cuda", as torch names it.
    provenance: copied into the shard (promise 6).
    should_stop(margin_s): "" or the reason to stop now: the deadline is nearer than the margin,
        the halt file, SIGTERM, a lost lease.
    report(done, total): called as the work advances, in units of the stage's choice; counts what
        a checkpoint restored too.
    allow_other_numerics: lets a checkpoint of another numerics class be continued, which is then
        recorded.
    checkpoint_s: checkpoints are made durable every so many seconds.
    cpus, memory_bytes: the cores and the memory that the work may use; None: nobody says.
    deadline: when the work must have ended (seconds since the epoch); None: nobody says.
    joules(): what the GPUs have used since some moment; None where nothing counts it.
    energy(): what its header records of the GPUs' energy since the work began: `joules` and the
        grid's intensity, or what is `missing`; empty where there is no GPU.
    ranks: the processes that do the work together; one alone unless `Stage.launch` is "ranks".
    """

    manifest: "Manifest"
    paths: ExperimentPaths
    device: str
    provenance: Mapping[str, Any]
    should_stop: Callable[[float], str]
    report: Callable[[int, int], None]
    allow_other_numerics: bool = False
    # A kill of the process loses nothing that was written, a crash of the node at most this; an
    # fsync on a busy Lustre takes seconds.
    checkpoint_s: float = 30.0
    cpus: int = 1
    memory_bytes: int | None = None
    deadline: float | None = None
    joules: Callable[[], float | None] = lambda: None
    energy: Callable[[], Mapping[str, Any]] = dict
    ranks: Ranks = field(default_factory=Alone)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What work will take: seconds on a GPU, seconds on one core, bytes published."""

    gpu_seconds: float
    cpu_seconds: float
    nbytes: float

    def times(self, count: float) -> "Estimate":
        """Return what `count` times as much work takes."""
        return Estimate(self.gpu_seconds * count, self.cpu_seconds * count, self.nbytes * count)


class Stage(Protocol):
    """A plugin: one kind of work, and all that the rest of the house asks about it.

    name: how it is called on the command line, in profiles, in the names of its files.
    after: the stages whose shards its own read.
    settings: the pydantic class of `[stages.<name>]` of an experiment file, None for a stage that
        has nothing to set; see `stage_settings`. A field `models` of it is a list of names of
        models that the experiment then has for this stage.
    launch: "shards" for shards that know nothing of each other, each worked on by one process, many
        as one array job; "ranks" for a shard that MPI ranks work on together, a job of its own.
    resumes: whether an interrupted shard goes on from a checkpoint instead of from its beginning.

    Most stages are a ShardStage below, or a `stages.journalled.JournalledStage`.
    """

    name: str
    after: tuple[str, ...]
    settings: "type[BaseModel] | None"
    launch: Launch
    resumes: bool

    def problems(self, experiment: "Experiment", specs: Mapping[str, ModelSpec]) -> list[str]:
        """Return a line for all that is wrong with what an experiment tells the stage; pure.

        Asked of stages that it tells something. `specs` lacks models whose own tables are wrong.
        """

    def models(self, manifest: "Manifest") -> tuple[ModelSpec, ...]:
        """Return the models whose results shards hold, each under its name; pure."""

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return the stage's shards in order; a pure function of the manifest."""

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the predicted cost of the whole stage; pure."""

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return the predicted cost of the shard that takes longest; pure."""

    def lacking(self, paths: ExperimentPaths, shard: Shard) -> str:
        """Return "" where the work of `shard` is done, ABSENT, or what its file lacks.

        A file in the shards' usual place is complete by being there, so that one listing of a
        directory tells of thousands. Only a shard with a `Shard.file` may lack something else.
        """

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the file of `shard`.

        Idempotent: returns at once where nothing is lacking. Raises Interrupted after a checkpoint
        where `context.should_stop` asks, ShardError where an input is missing or corrupt. With
        several `context.ranks` every rank makes this call.
        """


class ShardStage(ABC):
    """A stage whose shards know nothing of each other: the answers that most stages give.

    A subclass declares `name` and `after` and writes `shards`, `estimate` and `execute`.
    """

    name: str
    settings: "type[BaseModel] | None" = None
    launch: Launch = "shards"
    resumes = False

    def problems(self, experiment: "Experiment", specs: Mapping[str, ModelSpec]) -> list[str]:
        """Return no problems."""
        return []

    def models(self, manifest: "Manifest") -> tuple[ModelSpec, ...]:
        """Return the models that the experiment names for the stage."""
        return tuple(manifest.stage_models.get(self.name, ()))

    @abstractmethod
    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return the stage's shards in order; a pure function of the manifest."""

    @abstractmethod
    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the predicted cost of the whole stage; pure."""

    def longest_shard(self, manifest: "Manifest") -> Estimate:
        """Return a shard's share of the whole stage, for shards that are all alike."""
        return self.estimate(manifest).times(1 / max(1, len(self.shards(manifest))))

    def lacking(self, paths: ExperimentPaths, shard: Shard) -> str:
        """Return "" where the file of `shard` is there, else ABSENT."""
        return "" if paths.shard(shard).exists() else ABSENT

    @abstractmethod
    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the file of `shard`; returns at once where it is there."""


def stage_settings(stage: Stage, manifest: "Manifest") -> Any:
    """Return the settings of a stage in an experiment: an instance of `stage.settings`."""
    if stage.settings is None:
        return None
    return stage.settings.model_validate(manifest.experiment.stage_table(stage.name))


def installed_stages() -> dict[str, Stage]:
    """Return the stages installed by name, each after those whose shards it reads."""
    return in_order(installed.plugins("stages"))


def in_order(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """Return stages, each after those whose shards it reads; pure.

    Raises ManifestError where stages wait for each other in a circle.
    """
    order: dict[str, Stage] = {}
    while len(order) < len(stages):
        ready = [name for name in stages if name not in order and _is_ready(stages, name, order)]
        if not ready:
            raise ManifestError("The stages installed wait for each other in a circle")
        # Sorted, so that the order does not hang on that of imports.
        order |= {name: stages[name] for name in sorted(ready)}
    return order


def _is_ready(stages: Mapping[str, Stage], name: str, before: Collection[str]) -> bool:
    return set(stages[name].after) & set(stages) <= set(before)
