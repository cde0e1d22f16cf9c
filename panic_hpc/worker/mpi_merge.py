"""A merge by several MPI ranks as one worker: rank 0 takes the lease and records, all of them copy.

How the ranks come about is the profile's: `srun` starts the task of a job once a rank; `mpiexec`
replaces the single task of a job by ranks on its node.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.ranks import Ranks, find_ranks, first, launched_size
from panic_hpc.stages.base import Context, Stage
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.types import MERGE, Shard
from panic_hpc.worker.worker import EXIT_FAILED, EXIT_OK, Worker, WorkerOptions, run_worker
from panic_hpc.workspace.workspace import Workspace, open_workspace

MARGIN_S = 30.0

# Inside an allocation both MPIs would start processes through srun, which a container has not.
SINGLE_NODE = {"HYDRA_LAUNCHER": "fork", "HYDRA_RMK": "user", "OMPI_MCA_plm": "isolated"}


class MpiMergeStage:
    """The merge stage as rank 0 sees it: tells the others to begin, and does its share."""

    def __init__(self, stage: Stage, ranks: Ranks) -> None:
        self.name = stage.name
        self.after = stage.after
        self.shards = stage.shards
        self.estimate = stage.estimate
        self.ranks = ranks
        self.has_begun = False

    def execute(self, context: Context, shard: Shard) -> None:
        """Publish the dataset, with all ranks."""
        self.has_begun = True
        first(self.ranks, lambda: True)
        options = MergeOptions(
            should_stop=lambda: context.should_stop(MARGIN_S), report=context.report
        )
        merge([context.paths.root], context.paths.dataset, options, self.ranks)


def run_rank(root: Path, options: WorkerOptions) -> int:
    """Merge as one of the ranks that were started, and return an exit code like `run_shards`."""
    ranks, workspace = find_ranks(), open_workspace(root)
    if ranks.rank == 0:
        return _run_rank_zero(workspace, options, ranks)
    if not first(ranks, lambda: None):
        return EXIT_OK
    try:
        merge([root], workspace.paths.dataset, MergeOptions(), ranks)
    except PanicError as error:
        print(f"rank {ranks.rank}: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def _run_rank_zero(workspace: Workspace, options: WorkerOptions, ranks: Ranks) -> int:
    stage = MpiMergeStage(workspace.stages[MERGE], ranks)
    joined = replace(workspace, stages={**workspace.stages, MERGE: stage})
    try:
        return run_worker(Worker(joined, options), MERGE, [0])
    finally:
        # The others wait for rank 0's word, which it owes them also where it found nothing to do.
        if not stage.has_begun:
            first(ranks, lambda: False)


def is_rank() -> bool:
    """Whether a launcher has started this process as one of several ranks."""
    return launched_size() > 1


def exec_mpiexec(launch: Sequence[str], root: Path, environ: Mapping[str, str]) -> None:
    """Replace this process by `launch` (mpiexec and its options) starting ranks of the merge.

    Raises LaunchError where there is no such launcher beside this interpreter or in PATH.
    """
    # That of the same environment first: mpiexec must be of the MPI that mpi4py loads.
    beside = str(Path(sys.executable).parent)
    program = shutil.which(launch[0], path=os.pathsep.join([beside, environ.get("PATH", "")]))
    if program is None:
        raise LaunchError(
            f"There is no {launch[0]} here to start the merge's ranks with",
            hint="Set mpi.launcher of the profile, or merge.ranks_per_node = 1",
        )
    words = [program, *launch[1:], sys.executable, "-m", "panic_hpc", "worker", str(root), MERGE]
    # execve drops what Python has not written yet.
    sys.stdout.flush()
    os.execve(program, words, {**environ, **SINGLE_NODE})
