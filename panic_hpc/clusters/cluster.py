"""Cluster profiles: what a site is like, as closed and frozen models of a TOML file."""

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from panic_hpc.clusters.resources import (
    OptionName,
    ProfileTable,
    RankResources,
    ShardResources,
    StageResources,
    sbatch_options,
)
from panic_hpc.errors import LaunchError
from panic_hpc.models.device.energy import GRID_VARIABLE

# One line of printable text. Control characters (a newline ends a directive, an escape moves the
# cursor of whoever reads the script) never get as far as a script.
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f\u0085\u2028\u2029]*\z")]
ProfileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*\z")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\z")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+/-]+\z")]
# An absolute path, `~/…` or `$NAME/…`, read on the login node.
HostPath = Annotated[
    str, StringConstraints(pattern=r"^(/|~/|~\z|\$)[^\x00-\x1f\x7f:\"'`\\\u0085\u2028\u2029]*\z")
]
# `source[:destination[:ro|rw]]`, the form that `--bind` reads.
Bind = Annotated[
    str,
    StringConstraints(
        pattern=r"^(/|~/|\$)[^\x00-\x1f\x7f:,\"'`\\\u0085\u2028\u2029]*(:/[A-Za-z0-9_./+-]*)?(:r[ow])?\z"
    ),
]
# A directory that only exists inside a job: an absolute path or `$NAME`, expanded on the node.
NodePath = Annotated[str, StringConstraints(pattern=r"^(/|\$[A-Za-z_]\w*)[A-Za-z0-9_./+-]*\z")]
LaunchOption = Annotated[str, StringConstraints(pattern=r"^-[A-Za-z0-9_.,:=/+-]*\z")]


class Paths(ProfileTable):
    """Where data and caches go; both belong off the home directory."""

    scratch: HostPath | None = None
    cache: HostPath | None = None
    node_tmp: NodePath | None = None
    # False for Lustre mounted without flock, where HDF5 fails with errno 37, 38 or 524.
    hdf5_file_locking: bool = True

    @property
    def cache_variables(self) -> dict[str, str]:
        """The variables by which libraries find their caches below `cache`."""
        if self.cache is None:
            return {}
        return {
            # Moves the Xet chunk cache too, which has filled quotas of home directories.
            "HF_HOME": f"{self.cache}/huggingface",
            "XDG_CACHE_HOME": f"{self.cache}/xdg",
            "TORCHINDUCTOR_CACHE_DIR": f"{self.cache}/inductor",
            "TRITON_CACHE_DIR": f"{self.cache}/triton",
            "MPLCONFIGDIR": f"{self.cache}/matplotlib",
        }


class Limits(ProfileTable):
    """The scheduler's limits; what is left out is read from `scontrol show config`."""

    # Slurm's MaxArraySize: 1001 by default, and the largest index is one less.
    max_array_size: Annotated[int, Field(ge=2)] | None = None
    max_submitted_tasks: Annotated[int, Field(ge=1)] | None = None
    # False where the site forbids requeueing: a job that reaches its walltime then waits for the
    # next submit.
    requeue: bool = True
    # False where the site forbids sbatch on compute nodes: a series then waits for its user.
    submit_from_jobs: bool = True
    accounting: bool | None = None


class Container(ProfileTable):
    """How a command is run in the container image."""

    image: HostPath | None = None
    runtime: Literal["apptainer", "singularity"] = "apptainer"
    gpu: Literal["nv", "rocm", "none"] = "none"
    userns: bool = False
    home: bool = False
    binds: tuple[Bind, ...] = ()
    environment: dict[VariableName, Line] = Field(default_factory=dict)
    options: tuple[LaunchOption, ...] = ()


class Mpi(ProfileTable):
    """How MPI ranks of the merge are started.

    `mpiexec` starts them inside one container on one node; `srun` starts one container a rank, on
    any number of nodes, with `srun --mpi=plugin`; `none` means one rank without MPI.
    """

    # srun needs a PMI that host and image share; mpiexec inside the image needs none, but stays on
    # one node.
    launcher: Literal["mpiexec", "srun", "none"] = "none"
    plugin: OptionName | None = None
    options: tuple[LaunchOption, ...] = ()

    @model_validator(mode="after")
    def _plugin_is_srun(self) -> Self:
        if self.launcher == "srun" and self.plugin is None:
            raise ValueError("launcher 'srun' needs plugin (see `srun --mpi=list`)")
        return self


class ProfileSource(ProfileTable):
    """Where a profile's facts come from, and whether it was ever tried there."""

    tried: Line = ""
    documents: tuple[Line, ...] = ()
    read_on: datetime.date | None = None


def _launch_of(table: Any) -> str:
    return "ranks" if isinstance(table, dict) and "ranks_per_node" in table else "shards"


PluginResources = Annotated[
    Annotated[ShardResources, Tag("shards")] | Annotated[RankResources, Tag("ranks")],
    Discriminator(_launch_of),
]


class Stages(ProfileTable):
    """The stages' resources; a stage that came as a plugin has a table of its own name.

    A plugin's table with `ranks_per_node` is that of a stage which MPI ranks share.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, PluginResources] = Field(init=False)

    runs: ShardResources = ShardResources()
    embeddings: ShardResources = ShardResources()
    diagrams: ShardResources = ShardResources()
    merge: RankResources = RankResources()


class Cluster(ProfileTable):
    """One cluster: everything that panic_hpc knows of a site, as data."""

    name: ProfileName
    description: Line = ""
    scheduler: Literal["slurm", "local"] = "slurm"
    workers: Annotated[int, Field(ge=1)] | None = None
    python: HostPath | None = None
    # Grams of CO2 equivalent for a kWh where it stands: what a site or its country publishes.
    grid_g_per_kwh: Annotated[float, Field(ge=0, le=5000, allow_inf_nan=False)] | None = None
    source: ProfileSource = ProfileSource()
    paths: Paths = Paths()
    limits: Limits = Limits()
    modules: tuple[ModuleName, ...] = ()
    environment: dict[VariableName, Line] = Field(default_factory=dict)
    setup: tuple[Line, ...] = ()
    container: Container | None = None
    mpi: Mpi = Mpi()
    stages: Stages = Stages()

    @model_validator(mode="after")
    def _launchable(self) -> Self:
        wide = [name for name, stage in self.stages if not stage.stays_on_one_node]
        if self.mpi.launcher == "mpiexec" and wide:
            nodes = ", ".join(f"{name}.nodes" for name in wide)
            raise ValueError(f"mpi.launcher 'mpiexec' stays on one node: {nodes} must be 1")
        return self

    def stage(self, name: str) -> StageResources:
        """Return the resources of the stage called `name`; the defaults' where it has no table."""
        resources: StageResources | None = getattr(self.stages, name, None)
        if resources is None:
            raise LaunchError(f"The profile {self.name} has no resources for the stage {name!r}")
        return resources

    @property
    def grid_variables(self) -> dict[str, str]:
        """The variable that tells workers of the grid, where the profile does."""
        if self.grid_g_per_kwh is None:
            return {}
        return {GRID_VARIABLE: f"{self.grid_g_per_kwh:g}"}

    def sharing_gpus(self, workers: int) -> "Cluster":
        """Return this profile with `workers` tasks a GPU in each stage that works on shards.

        Raises LaunchError where a stage asks for its GPUs in a way that cannot be shared.
        """
        try:
            shared = {
                name: stage.sharing_gpus(workers)
                for name, stage in self.stages
                if isinstance(stage, ShardResources)
            }
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise LaunchError(f"{self.name} cannot share its GPUs: {reason}") from error
        return self.model_copy(update={"stages": self.stages.model_copy(update=shared)})

    def sbatch_options(self, name: str) -> dict[str, str | bool]:
        """Return the resource options of a job of stage `name`; see resources.sbatch_options.

        Where mpiexec starts ranks inside one task, the job is asked for as that task.
        """
        return sbatch_options(self.stage(name).launched_by(self.mpi.launcher))


def energy_options(cluster: Cluster, stage: str) -> dict[str, float]:
    """Return what the ledger keeps to count energy: the grid, and how many share a GPU; pure."""
    grid = cluster.grid_g_per_kwh
    sharing = getattr(cluster.stage(stage), "workers_per_gpu", 1)
    return ({} if grid is None else {"grid_g_per_kwh": grid}) | (
        {"workers_per_gpu": sharing} if sharing > 1 else {}
    )


KEYS = tuple(
    dict.fromkeys(
        name
        for table in (
            Cluster,
            ProfileSource,
            Paths,
            Limits,
            Container,
            Mpi,
            ShardResources,
            RankResources,
        )
        for name in table.model_fields
    )
)
"""Every key that some table of a profile has."""
