"""The contract of stages: for one shard, read published inputs, publish one file."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from panic_hpc import installed
from panic_hpc.errors import ManifestError
from panic_hpc.paths import ExperimentPaths
from panic_hpc.types import Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage may know of the world around its shard.

    `should_stop(margin_s)` returns "" or the reason to stop now (deadline nearer than the margin,
    halt file, SIGTERM). `report(done, total)` is called as the work advances, in units of the
    stage's choice. `provenance` is copied into the shard (promise 6). `allow_other_numerics`
    lets a checkpoint of another numerics class be continued, which is then recorded. Checkpoints
    are made durable every `checkpoint_s`; `cpus` are the cores and `memory_bytes` the memory that
    the work may use, `deadline` is when it must have ended (seconds since the epoch); None: nobody
    says.
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


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stage will take: seconds on a GPU, seconds on one core, bytes published."""

    gpu_seconds: float
    cpu_seconds: float
    nbytes: float


class Stage(Protocol):
    """A plugin: one kind of work. `after` names the stages whose shards its own read."""

    name: str
    after: tuple[str, ...]

    def shards(self, manifest: "Manifest") -> Sequence[Shard]:
        """Return the stage's shards in order; a pure function of the manifest."""

    def estimate(self, manifest: "Manifest") -> Estimate:
        """Return the predicted cost of the whole stage; pure."""

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the file of `shard`.

        Idempotent: returns at once where the file is there. Raises Interrupted after a checkpoint
        where `context.should_stop` asks, ShardError where an input is missing or corrupt.
        """


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
