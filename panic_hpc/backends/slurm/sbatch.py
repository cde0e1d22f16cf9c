"""The door to submitit's Slurm executor: one call is one sbatch, from primitives to job ids."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from panic_hpc.backends.slurm.batch_script import BatchJob, parameters, python_command
from panic_hpc.backends.slurm.commands import sbatch_verdict, sbatch_words
from panic_hpc.disk.private_dirs import private_folder
from panic_hpc.disk.system import remove_tree
from panic_hpc.errors import LaunchError
from panic_hpc.worker.array_task import run_array_task
from panic_hpc.worker.worker import WorkerOptions

ArrayTasks = Sequence[Sequence[int]]

SECRETS = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "CREDENTIAL")
INHERITED = ("SLURM_", "SBATCH_", "SRUN_", "SUBMITIT_", "PMI", "OMPI_")
# Without SLURM_CONF sbatch does not find its controller where the file is not in /etc; submitit's
# own clean_env drops it.
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")


def submit_array(job: BatchJob, tasks: ArrayTasks, options: WorkerOptions) -> str:
    """Submit `tasks` of `job` and return the id of the array, or of the job where it is one.

    Raises LaunchError with sbatch's own words where it refuses; nothing is left behind then.
    """
    calls = [(str(job.root), job.stage, tuple(e), asdict(options)) for e in tasks]
    jobs = _submitted(job, lambda run: run.map_array(run_array_task, *zip(*calls, strict=True)))
    identifier: str = jobs[0].job_id.partition("_")[0]
    return identifier


def submit_call(job: BatchJob, call: Callable[..., None], *arguments: str) -> str:
    """Submit one job that calls a function of a module, and return its id.

    It has the resources of `job.stage` in the job's profile. Raises LaunchError as `submit_array`.
    """
    identifier: str = _submitted(job, lambda run: run.submit(call, *arguments)).job_id
    return identifier


def _submitted(job: BatchJob, submit: Callable[[Any], Any]) -> Any:
    """Return what `submit` makes of an executor; LaunchError, and nothing left, where it fails."""
    executor = _executor(job, private_folder(job.folder))
    try:
        with submission_environment(), redirect_stderr(StringIO()):
            return submit(executor)
    except Exception as error:
        # submitit pickles every task before sbatch is called, and leaves that behind when it
        # refuses.
        with suppress(OSError):
            remove_tree(job.folder)
        words = sbatch_words(str(error)) or type(error).__name__
        hint = f"`retry --any-node` leaves out none of {', '.join(job.exclude)}"
        raise LaunchError(
            f"sbatch refused {job.name}: {words}", hint=hint if job.exclude else ""
        ) from error


def script(job: BatchJob) -> str:
    """Return the batch script that `submit_array` would give to sbatch; writes nothing."""
    executor = _executor(job, job.folder)
    if job.size > 1:
        executor.parameters["map_count"] = job.size
    # Private, but submitit has no public way to see a script before it is submitted.
    text: str = executor._make_submission_file_text(executor._submitit_command_str, "")
    return text


def verdict(job: BatchJob) -> str:
    """Return what `sbatch --test-only` says of `job`: when it would start, or why it would not."""
    would_start, words = sbatch_verdict(script(job), env=inheritable(os.environ))
    return words if would_start else f"refused: {words}"


def _executor(job: BatchJob, folder: Path) -> Any:
    from submitit.slurm.slurm import SlurmExecutor

    # Overrides affinity alone: submitit makes a plain SlurmExecutor for arrays, and others are
    # lost.
    class Executor(SlurmExecutor):  # type: ignore[misc]
        @classmethod
        def affinity(cls) -> int:
            """Let scripts be rendered where there is no srun; sbatch says if it is absent."""
            return 2

    # One an array: submitit drops None, so a dependency cannot be unset. Not AutoExecutor, which
    # turns to local processes without a word where there is no srun.
    executor = Executor(folder, python=python_command(job))
    executor.update_parameters(**parameters(job))
    return executor


@contextmanager
def submission_environment() -> Iterator[None]:
    """Call sbatch with an environment that a job may inherit: see `job_environment`."""
    # submitit takes no environment, and sbatch hands on all of the one it is called with.
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(inheritable(before))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def inheritable(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without secrets, and without what belongs to an allocation around us.

    SBATCH_* would override the script's own lines, SLURM_CPU_BIND and the like slow jobs down.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in KEPT
        or not (name.startswith(INHERITED) or any(word in name.upper() for word in SECRETS))
    }
