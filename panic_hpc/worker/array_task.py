"""What submitit calls in a job or local process: one array task, from primitives to exit code."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from panic_hpc import exit_codes
from panic_hpc.container.sif import refuse_other_build, running_build
from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.stages.base import installed_stages
from panic_hpc.worker.device import assigned_gpu, own_gpu
from panic_hpc.worker.mpi_ranks import work_as_ranks
from panic_hpc.worker.worker import WorkerOptions, run_shards
from panic_hpc.workspace.failures import failure_of, write_failure
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.workspace import open_workspace


def run_array_task(
    root: str, stage: str, indices: Sequence[int], options: Mapping[str, Any]
) -> None:
    """Do this process's share of one array task, and end the process with `run_shards`' code.

    Ends it at once: no result is pickled, and HDF5 was seen to crash in an interpreter's exit
    after a write error. Files have the last word anyway.
    """
    try:
        code = _run(root, stage, indices, _understood(options))
    except PanicError as error:
        print(f"panic-hpc: {error}", file=sys.stderr)
        record_failures(Path(root), stage, indices, error, str(options.get("submission", "")))
        code = exit_codes.ERROR
    sys.stdout.flush()
    sys.stderr.flush()
    if "mpi4py.MPI" in sys.modules:
        # The other ranks wait for ever for one that ends without MPI_Finalize.
        sys.exit(code)
    os._exit(code)


def _understood(options: Mapping[str, Any]) -> WorkerOptions:
    """Return `options`; LaunchError where another state of the code has sent them."""
    try:
        return WorkerOptions(**options)
    except TypeError as error:
        raise LaunchError(
            "This panic-hpc does not understand what the one that submitted it said",
            hint="Install the same version on both sides, and submit again",
        ) from error


def _run(root: str, stage: str, indices: Sequence[int], options: WorkerOptions) -> int:
    if options.build is not None:
        refuse_other_build(options.build, running_build())
    if installed_stages()[stage].launch == "ranks":
        return work_as_ranks(root, stage, indices, options)
    rank, n_tasks = _place_in_job()
    # Before torch is imported, which reads it once.
    os.environ.update(own_gpu(rank, n_tasks) | assigned_gpu())
    # srun starts this same call once a task, so each takes its own share.
    return run_shards(root, stage, indices[rank::n_tasks], options)


def run_stage(root: str, stage: str, indices: Sequence[int], options: WorkerOptions) -> int:
    """Work on shards in this process, or with the ranks it is one of; return an exit code."""
    if installed_stages()[stage].launch == "ranks":
        return work_as_ranks(root, stage, indices, options)
    return run_shards(root, stage, indices, options)


def record_failures(
    root: Path, stage: str, indices: Sequence[int], error: PanicError, submission: str
) -> None:
    """Leave the word of a worker that could not even begin, for every shard it was to work on."""
    # Where the manifest itself cannot be read there is nowhere to write to; the log has it.
    with suppress(PanicError):
        workspace = open_workspace(root)
        failure = failure_of(error, this_process(), submission)
        for index in indices:
            shard = workspace.shards(stage)[index]
            if workspace.lacking(shard):
                write_failure(workspace.paths.failure(shard), failure)


def _place_in_job() -> tuple[int, int]:
    """Return this process's number and how many srun started; a local worker is one of one."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return 0, 1
    return int(os.environ.get("SLURM_PROCID", "0")), int(os.environ.get("SLURM_NTASKS", "1"))
