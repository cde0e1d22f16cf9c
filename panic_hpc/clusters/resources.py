"""What one stage asks of a scheduler: closed models, their sbatch options and their cost."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from panic_hpc.validation.closed import Closed


class ProfileTable(Closed):
    """A table of a profile: closed and frozen as any; lists may stand for tuples."""

    model_config = ConfigDict(strict=False)


# Every text below ends up in a batch script. A newline in a job name was seen to be executed on the
# node, so the alphabets are lists of what is allowed, and `\Z` instead of `$` refuses a last "\n".
SlurmName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@+-][A-Za-z0-9_.,@+-]*\z")]
SlurmExpression = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.,:;@%+=/&|*!()\[\]{}-]+\z")
]
OptionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\z")]
GpuType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+\z")]

OPTIONS_THAT_ARE_OURS = frozenset(
    {"array", "dependency", "job-name", "output", "error", "open-mode", "requeue", "no-requeue",
     "signal", "chdir", "wrap", "parsable", "test-only", "export", "export-file", "hold", "wait"}
)  # fmt: skip


class StageResources(ProfileTable):
    """What a job of one stage asks for; whatever is left out is not said to sbatch.

    `cpus`, `gpus` and `mem_gb` are for one task (one shard, or one MPI rank), not for the job.
    """

    partition: SlurmName | None = None
    account: SlurmName | None = None
    qos: SlurmName | None = None
    constraint: SlurmExpression | None = None
    nodes: Annotated[int, Field(ge=1)] | None = 1
    cpus: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[int, Field(ge=0)] = 0
    gpu_type: GpuType | None = None
    # Sites differ in which of them their submit filter lets through.
    gpu_option: Literal["gpus-per-node", "gpus-per-task", "gres", "none"] = "gpus-per-node"
    mem_gb: Annotated[float, Field(gt=0)] | None = None
    mem_option: Literal["mem", "mem-per-cpu", "mem-per-gpu", "none"] = "mem"
    walltime_min: Annotated[int, Field(ge=1)] | None = None
    exclusive: bool = False
    node_cpus: Annotated[int, Field(ge=1)] | None = None
    node_gpus: Annotated[int, Field(ge=0)] | None = None
    extra: dict[OptionName, SlurmExpression | Literal[True]] = Field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """Tasks that one job starts, over all its nodes."""
        return self.tasks_per_node * (self.nodes or 1)

    @property
    def tasks_per_node(self) -> int:
        """Tasks that one job starts on each node."""
        return 1

    @property
    def gpus_per_node(self) -> int:
        """GPUs that one job has on each node."""
        return self.gpus * self.tasks_per_node

    def launched_by(self, launcher: str) -> "StageResources":
        """Return what a job asks for where `launcher` (of `Mpi`) starts its processes."""
        return self

    @property
    def stays_on_one_node(self) -> bool:
        """Whether a job has one node, so that any launcher can start its processes."""
        return (self.nodes or 1) == 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ours = sorted(OPTIONS_THAT_ARE_OURS & set(self.extra))
        if ours:
            raise ValueError(f"extra holds options that panic_hpc sets itself: {', '.join(ours)}")
        if self.mem_gb and self.mem_option == "mem-per-cpu" and self.cpus is None:
            raise ValueError("mem_option 'mem-per-cpu' needs cpus")
        if self.mem_gb and self.mem_option == "mem-per-gpu" and not self.gpus:
            raise ValueError("mem_option 'mem-per-gpu' needs gpus")
        return self


class ShardResources(StageResources):
    """A stage that runs as array jobs: `shards_per_job` shards side by side, one task each.

    `workers_per_gpu` of these tasks, or of the workers on this machine, share one's GPUs.
    """

    shards_per_job: Annotated[int, Field(ge=1)] = 1
    workers_per_gpu: Annotated[int, Field(ge=1, le=48)] = 1
    max_parallel: Annotated[int, Field(ge=1)] | None = None

    @property
    def tasks_per_node(self) -> int:
        """Tasks that one job starts on its node: one for each shard."""
        return self.shards_per_job

    @property
    def gpus_per_node(self) -> int:
        """GPUs that one job has on its node: those of each group of tasks that shares them."""
        return self.gpus * self.shards_per_job // self.workers_per_gpu

    def sharing_gpus(self, workers: int) -> "ShardResources":
        """Return the same jobs with `workers` tasks a GPU, and so as many shards more."""
        tasks = self.shards_per_job // self.workers_per_gpu * workers
        more = {"shards_per_job": tasks} if self.gpus else {}
        table = self.model_dump(exclude_unset=True)
        return ShardResources.model_validate({**table, "workers_per_gpu": workers, **more})

    @model_validator(mode="after")
    def _sharing(self) -> Self:
        if not self.gpus or self.workers_per_gpu == 1:
            return self
        if self.shards_per_job % self.workers_per_gpu:
            raise ValueError("shards_per_job must be a multiple of workers_per_gpu")
        if self.gpu_option == "gpus-per-task":
            raise ValueError("gpu_option 'gpus-per-task' gives each worker its own: use another")
        return self

    @model_validator(mode="after")
    def _one_node(self) -> Self:
        if self.nodes not in (None, 1):
            raise ValueError("nodes: a shard runs on one node")
        return self


class RankResources(StageResources):
    """A stage that MPI ranks share: one job, `ranks_per_node` ranks on each of `nodes` nodes."""

    ranks_per_node: Annotated[int, Field(ge=1)] = 1

    @property
    def tasks_per_node(self) -> int:
        """Tasks that the job starts on each node: its MPI ranks there."""
        return self.ranks_per_node

    def launched_by(self, launcher: str) -> "RankResources":
        """Return one task with the resources of all ranks, unless srun starts a task for each."""
        if launcher == "srun":
            return self
        ranks = self.ranks_per_node
        return self.model_copy(
            update={
                "ranks_per_node": 1,
                "cpus": self.cpus and self.cpus * ranks,
                "mem_gb": self.mem_gb and self.mem_gb * ranks,
                "gpus": self.gpus * ranks,
            }
        )


def sbatch_options(stage: StageResources) -> dict[str, str | bool]:
    """Return the resource options of one job: names without dashes, True for a bare flag.

    Nothing stands in it that the profile does not ask for. `time` is in minutes, as sbatch reads a
    bare number. Pure; `extra` comes last and may replace what is generated here.
    """
    options: dict[str, str | bool | None] = {
        "partition": stage.partition,
        "account": stage.account,
        "qos": stage.qos,
        "constraint": stage.constraint,
        "nodes": _text(stage.nodes),
        # Always said: with hyper-threading srun was seen to start two tasks where nothing was.
        "ntasks-per-node": str(stage.tasks_per_node),
        "cpus-per-task": _text(stage.cpus),
        "time": _text(stage.walltime_min),
        "exclusive": stage.exclusive or None,
    }
    options |= {**_gpu_option(stage), **_mem_option(stage), **stage.extra}
    return {name: value for name, value in options.items() if value is not None}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _gpu_option(stage: StageResources) -> dict[str, str | bool | None]:
    if stage.gpus == 0 or stage.gpu_option == "none":
        return {}
    count = stage.gpus if stage.gpu_option == "gpus-per-task" else stage.gpus_per_node
    kind = f"{stage.gpu_type}:" if stage.gpu_type else ""
    prefix = "gpu:" if stage.gpu_option == "gres" else ""
    return {stage.gpu_option: f"{prefix}{kind}{count}"}


def _mem_option(stage: StageResources) -> dict[str, str | bool | None]:
    if stage.mem_gb is None or stage.mem_option == "none":
        return {}
    shares = {
        "mem": 1 / stage.tasks_per_node,
        "mem-per-cpu": stage.cpus or 1,
        "mem-per-gpu": stage.gpus_per_node / stage.tasks_per_node or 1,
    }
    # In MiB: sbatch takes no fractions, and reads a bare number as megabytes.
    return {stage.mem_option: f"{round(stage.mem_gb * 1024 / shares[stage.mem_option])}M"}


@dataclass(frozen=True)
class AllocationCost:
    """The most that jobs may use if each runs to its walltime, in CPU-hours and GPU-hours."""

    cpu_hours: float
    gpu_hours: float

    def __add__(self, other: "AllocationCost") -> "AllocationCost":
        return AllocationCost(self.cpu_hours + other.cpu_hours, self.gpu_hours + other.gpu_hours)


def allocation_cost(stage: StageResources, jobs: int) -> AllocationCost:
    """Return what `jobs` jobs may use at most; whole nodes count where the profile states them."""
    # The most, not the likely: sites debit or reserve the walltime asked for.
    hours = jobs * (stage.walltime_min or 0) / 60
    nodes = stage.nodes or 1
    # Whole nodes are what exclusive partitions charge, whatever a job asks for.
    cpus = nodes * stage.node_cpus if stage.node_cpus else stage.tasks * (stage.cpus or 1)
    gpus = nodes * (stage.gpus_per_node if stage.node_gpus is None else stage.node_gpus)
    return AllocationCost(cpu_hours=hours * cpus, gpu_hours=hours * gpus)
