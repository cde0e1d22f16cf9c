"""Several processes that merge together: MPI's where there are some, else this one alone."""

import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from panic_hpc.errors import Interrupted, LaunchError, PanicError

T = TypeVar("T")
_SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS", "PMIX_SIZE")
# srun counts its tasks even without any process manager (`--mpi=none`). mpiexec inside of a step
# is not srun's to count, so its variables come first.
_STEP_SIZE = "SLURM_STEP_NUM_TASKS"


class Ranks(Protocol):
    """What the ranks of one merge do in step. Every rank makes the same calls in the same order."""

    rank: int
    size: int

    def each(self, work: Callable[[], T]) -> list[T]:
        """Do `work` on every rank and return all results; where one fails, all raise."""


class Alone:
    """One process, no MPI."""

    rank = 0
    size = 1

    def each(self, work: Callable[[], T]) -> list[T]:
        """Do the work."""
        return [work()]


class MpiRanks:
    """The processes of MPI's world."""

    def __init__(self) -> None:
        """Join the world; LaunchError where mpi4py does not work here."""
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise LaunchError(
                f"mpi4py is needed to merge with several ranks ({error})",
                hint="pip install 'panic-hpc[mpi]', or merge without mpiexec",
            ) from error
        self._world = MPI.COMM_WORLD
        self.rank = self._world.Get_rank()
        self.size = self._world.Get_size()
        # With a process manager that MPI does not speak every process is a world of its own, and
        # each would merge into the same place.
        if self.size != launched_size():
            raise LaunchError(
                f"{launched_size()} processes were started, and MPI connected {self.size} of them",
                hint="Use an MPI plugin that both sides speak (`srun --mpi=list`), or mpiexec",
            )

    def each(self, work: Callable[[], T]) -> list[T]:
        """Do `work` on every rank and return all results; where one fails, all raise."""
        result: Any = None
        failure: Exception | None = None
        try:
            result = work()
        # Not raised yet: a rank that misses the allgather lets the others wait for ever.
        except Exception as error:
            failure = error
        # The failure as text, for not every exception survives pickling.
        told = self._world.allgather((result, _described(failure)))
        if failure is not None:
            raise failure
        for rank, (_, problem) in enumerate(told):
            if problem:
                raise _retold(rank, problem)
        return [value for value, _ in told]


def _described(failure: Exception | None) -> tuple[str, str] | None:
    return None if failure is None else (type(failure).__name__, str(failure))


def _retold(rank: int, problem: tuple[str, str]) -> PanicError:
    kind, text = problem
    error = Interrupted if kind == Interrupted.__name__ else PanicError
    return error(f"Rank {rank} stopped: {text}")


def first(ranks: Ranks, work: Callable[[], T]) -> T:
    """Do `work` on rank 0 only and return its result on every rank."""
    results: list[Any] = ranks.each(work if ranks.rank == 0 else lambda: None)
    value: T = results[0]
    return value


def launched_size() -> int:
    """Return how many processes mpiexec or srun says it started; 1 where nothing started us."""
    counts = [os.environ.get(name, "") for name in _SIZE_VARIABLES]
    sizes = [int(count) for count in counts if count.isdigit()]
    return max(sizes or [int(os.environ.get(_STEP_SIZE) or 1)])


def find_ranks() -> Ranks:
    """Return MPI's ranks where several were started, this process alone otherwise."""
    return MpiRanks() if launched_size() > 1 else Alone()
