"""Several MPI ranks as one worker: rank 0 takes the lease and records, all of them do the work.

For stages whose `launch` is "ranks". How the ranks come about is the profile's: `srun` starts the
task of a job once a rank; `mpiexec` replaces the single task of a job by ranks on its node.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from panic_hpc import exit_codes
from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.merging.ranks import Ranks, find_ranks, first, launched_size
from panic_hpc.stages.base import Context, Stage
from panic_hpc.types import Shard
from panic_hpc.worker.worker import Worker, WorkerOptions, run_shards, run_worker
from panic_hpc.workspace.workspace import Workspace, open_workspace

# Inside an allocation both MPIs would start processes through srun, which a container has not.
SINGLE_NODE = {"HYDRA_LAUNCHER": "fork", "HYDRA_RMK": "user", "OMPI_MCA_plm": "isolated"}


def work_as_ranks(root: str, stage: str, indices: Sequence[int], options: WorkerOptions) -> int:
    """Work alone, as a rank that was started, or by becoming the ranks that `launch` starts."""
    if launched_size() > 1:
        return run_rank(Path(root), stage, indices, options)
    if options.launch:
        exec_mpiexec(options.launch, Path(root), stage, indices, os.environ)
    return run_shards(root, stage, indices, options)


def run_rank(root: Path, stage: str, indices: Sequence[int], options: WorkerOptions) -> int:
    """Work as one of the ranks that were started, and return an exit code like `run_shards`."""
    ranks, workspace = find_ranks(), open_workspace(root)
    if ranks.rank == 0:
        return _lead(workspace, stage, indices, options, ranks)
    return _follow(workspace, stage, ranks)


class LedStage:
    """A stage as rank 0 sees it: tells the other ranks which shard to begin, and does its share."""

    def __init__(self, stage: Stage, ranks: Ranks) -> None:
        self._stage = stage
        self._ranks = ranks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the file of `shard`, with all ranks."""
        first(self._ranks, lambda: shard.index)
        self._stage.execute(replace(context, ranks=self._ranks), shard)


def _lead(
    workspace: Workspace, name: str, indices: Sequence[int], options: WorkerOptions, ranks: Ranks
) -> int:
    stage: Any = LedStage(workspace.stages[name], ranks)
    led = replace(workspace, stages={**workspace.stages, name: stage})
    try:
        return run_worker(Worker(led, options), name, indices)
    finally:
        # The others wait for rank 0's word, which it owes them also where it found nothing to do.
        first(ranks, lambda: None)


def _follow(workspace: Workspace, name: str, ranks: Ranks) -> int:
    """Do this rank's share of every shard that rank 0 begins, until it says that it is done."""
    code = exit_codes.OK
    while (index := first(ranks, _silence)) is not None:
        shard = workspace.shards(name)[index]
        try:
            workspace.stages[name].execute(_context(workspace, ranks), shard)
        except PanicError as error:
            print(f"rank {ranks.rank}: {error}", file=sys.stderr)
            code = exit_codes.ERROR
    return code


def _silence() -> int | None:
    return None


def _context(workspace: Workspace, ranks: Ranks) -> Context:
    """Return what a rank that leads nothing knows: when to stop is for rank 0 to say."""
    return Context(
        manifest=workspace.manifest,
        paths=workspace.paths,
        device="cpu",
        provenance={},
        should_stop=lambda margin_s: "",
        report=lambda done, total: None,
        ranks=ranks,
    )


def exec_mpiexec(
    launch: Sequence[str],
    root: Path,
    stage: str,
    indices: Sequence[int],
    environ: Mapping[str, str],
) -> None:
    """Replace this process by `launch` (mpiexec and its options) starting ranks that work.

    Raises LaunchError where there is no such launcher beside this interpreter or in PATH.
    """
    # That of the same environment first: mpiexec must be of the MPI that mpi4py loads.
    beside = str(Path(sys.executable).parent)
    program = shutil.which(launch[0], path=os.pathsep.join([beside, environ.get("PATH", "")]))
    if program is None:
        raise LaunchError(
            f"There is no {launch[0]} here to start the ranks of {stage} with",
            hint=f"Set mpi.launcher of the profile, or stages.{stage}.ranks_per_node = 1",
        )
    worker = [
        sys.executable,
        "-P",
        "-m",
        "panic_hpc",
        "worker",
        str(root),
        stage,
        *map(str, indices),
    ]
    # execve drops what Python has not written yet.
    sys.stdout.flush()
    os.execve(program, [program, *launch[1:], *worker], {**environ, **SINGLE_NODE})
