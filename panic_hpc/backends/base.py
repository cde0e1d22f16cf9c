"""The contract of backends: where work is sent, by a profile's `scheduler`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.types import ShardId
from panic_hpc.workspace.ledger import Submission
from panic_hpc.workspace.status import Queue, Status
from panic_hpc.workspace.workspace import Workspace

if TYPE_CHECKING:
    from panic_hpc.backends.status_query import StatusSnapshot

Executor = Literal["local", "inline"]
EXECUTORS: tuple[Executor, ...] = ("local", "inline")


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """What is asked for by `submit` and `retry`, whatever the backend.

    cluster: the profile, its variables resolved; its `scheduler` chooses the backend.
    stages: only these; all of them where it is empty.
    retry: failed and lost shards again and what waits for them, instead of what was never tried.
    allow_other_numerics: continue checkpoints of another kind of machine.
    executor: on this machine, "local" for worker processes, "inline" for the process that submits,
        whose thread variables it sets; a script that does so needs `if __name__ == "__main__":`,
        since stages may spread over processes that import it.
    workers: processes on this machine; 0 for the profile's number, else one a GPU, else as many
        as there are cores for.
    image: for jobs, a container image in place of the profile's; "" for the profile's.
    any_node: for jobs of a retry, leave out no node, whatever failed there.
    allow_short_walltime: for jobs, submit shards that need several walltimes also where the profile
        does not requeue them.
    """

    cluster: Cluster
    stages: tuple[str, ...] = ()
    retry: bool = False
    allow_other_numerics: bool = False
    executor: Executor = "local"
    workers: int = 0
    image: str = ""
    any_node: bool = False
    allow_short_walltime: bool = False


def request_for(
    cluster: str = "local", *, workers_per_gpu: int = 0, **asked: object
) -> SubmitRequest:
    """Return the request of a profile by its name or file; `asked` are SubmitRequest's fields.

    `workers_per_gpu` takes the place of the profile's, 0 leaves it.
    Raises ConfigError where there is no such profile or a variable of it is not set here.

        request_for("mine", stages=("runs",), retry=True)
    """
    from panic_hpc.clusters.profiles import load_cluster, resolved

    profile = resolved(load_cluster(cluster))
    shared = profile.sharing_gpus(workers_per_gpu) if workers_per_gpu else profile
    return SubmitRequest(shared, **asked)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a submission would do now, for people to look at first.

    n_shards: shards that would be worked on.
    summary: what would be done and what it may cost at most, a line each.
    warnings: what is likely to go otherwise than wished.
    scripts: what a scheduler would be given, and its verdict; only where that was asked for.
    """

    n_shards: int
    summary: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


class Watcher(Protocol):
    """Whoever is told how a submission goes; `SilentWatcher` is nobody."""

    def begin(self, stage: str, total: int, completed: int) -> None:
        """A stage has begun here."""

    def advance(self, stage: str, completed: float, failed: int) -> None:
        """So many shards (with fractions of those under way) are completed now."""

    def end(self, stage: str, state: Status) -> None:
        """A stage is over, for now."""

    def tell(self, line: str) -> None:
        """Something was done: a job submitted, others cancelled."""


class SilentWatcher:
    """A watcher that says nothing."""

    def begin(self, stage: str, total: int, completed: int) -> None:
        """Say nothing."""

    def advance(self, stage: str, completed: float, failed: int) -> None:
        """Say nothing."""

    def end(self, stage: str, state: Status) -> None:
        """Say nothing."""

    def tell(self, line: str) -> None:
        """Say nothing."""


Agree = Callable[[Proposal], bool]


def agree_to_all(proposal: Proposal) -> bool:
    """Agree to whatever is proposed."""
    return True


class Backend(Protocol):
    """One kind of place where work is done.

    noun: what users call one thing that works there: "job", "local worker".
    is_synchronous: whether `submit` comes back only when the work is over.
    """

    noun: str
    is_synchronous: bool

    def propose(self, workspace: Workspace, request: SubmitRequest) -> Proposal:
        """Return, with scripts, what `submit` would do now; writes nothing.

        Raises LaunchError for what `submit` would refuse.
        """

    def submit(
        self,
        workspace: Workspace,
        request: SubmitRequest,
        watcher: Watcher,
        agree: Agree = agree_to_all,
    ) -> Submission | None:
        """Do, or let a scheduler do, what is asked for; None where there is nothing, or no consent.

        `agree` is asked before anything is charged to anybody. Raises LaunchError where the request
        is refused, Interrupted where work here was stopped in a state from which it goes on.
        """

    def queue(
        self, ledger: Sequence[Submission], unfinished: Collection[ShardId]
    ) -> tuple[Queue, str]:
        """Return what the scheduler says of each shard that it was given, and "".

        Asks it at most once, and only about what may still be under way. Where it gives no answer
        everything counts as submitted, and the second value says why.
        """

    def active(self, snapshot: "StatusSnapshot", stages: Collection[str]) -> list[str]:
        """Return the ids of what works, or is still to work, on shards of `stages`; pure."""

    def cancel(self, workspace: Workspace, ids: Sequence[str]) -> None:
        """End what has these ids, checkpoints kept, so that none of its shards counts as lost."""


def backends() -> Mapping[str, Backend]:
    """Return the backends by the value of `scheduler` that chooses them."""
    from panic_hpc.backends.local.backend import LocalBackend
    from panic_hpc.backends.slurm.backend import SlurmBackend

    return {"slurm": SlurmBackend(), "local": LocalBackend()}


def backend_of(cluster: Cluster) -> Backend:
    """Return the backend that a profile's `scheduler` names."""
    return backends()[cluster.scheduler]
