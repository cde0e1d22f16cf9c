"""What is said to submitit for one array: parameters, host-side lines before and after. Pure.

Nothing relies on signals: submitit's USR2 would kill an unprivileged container's file system, and
its own requeue calls scontrol where there is none. The deadline is exported by the host, and the
host requeues the job when the worker says so by its exit code.
"""

import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc import exit_codes
from panic_hpc.backends.slurm.job_environment import host_lines
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.container.command import python_words
from panic_hpc.container.submitted import SubmittedImage
from panic_hpc.errors import LaunchError
from panic_hpc.stages.base import Launch
from panic_hpc.worker.device import thread_settings
from panic_hpc.worker.stopper import DEADLINE_VARIABLE

# The batch shell gets SIGCONT a second before the end, which does nothing; nobody else gets one.
NO_SIGNAL = "B:CONT@1"
# A granted requeue ends the script while it sleeps; only a refused one reaches the line after it.
WAIT_FOR_REQUEUE_S = 120
# One task of an array has the array's own id as its SLURM_JOB_ID; a requeue by that id was seen
# to cut off every other task too.
THIS_TASK = "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"
FORBIDDEN_IN_PATHS = "%\\\"'`$"


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One sbatch call: `size` array tasks of `stage` with the resources of `cluster`.

    launch: the stage's own word on how its shards are worked on.
    name, folder: the job's, and where its pickles and logs go.
    root, threads: the experiment's directory, and the threads of each numeric library.
    parallel: how many array tasks may run at the same time; 0 for no limit.
    dependency, exclude: the values of sbatch's options, exclude in parts.
    image: the container image that tasks run in, None outside of any.
    """

    cluster: Cluster
    stage: str
    name: str
    size: int
    folder: Path
    root: Path
    threads: int
    launch: Launch = "shards"
    parallel: int = 0
    dependency: str = ""
    exclude: tuple[str, ...] = ()
    image: SubmittedImage | None = None


def parameters(job: BatchJob) -> dict[str, Any]:
    """Return the parameters of submitit's SlurmExecutor; None leaves a default of its out."""
    options = dict(job.cluster.sbatch_options(job.stage))
    values = {
        "job_name": job.name,
        "time": _number(options.pop("time", None)),
        "nodes": _number(options.pop("nodes", "1")),
        "ntasks_per_node": _number(options.pop("ntasks-per-node", "1")),
        "dependency": job.dependency or None,
        "exclude": ",".join(job.exclude) or None,
        # submitit's own is --wckey=submitit, which sites that check wckeys may refuse.
        "wckey": None,
        # submitit throttles to 256 tasks where nothing is said.
        "array_parallelism": job.parallel or job.size,
        # One log a task instead of two: submitit's folder is full of small files as it is.
        "stderr_to_stdout": True,
        "setup": list(setup_lines(job)),
        "teardown": list(teardown_lines(requeue=job.cluster.limits.requeue)),
        "srun_args": list(_srun_options(job)),
        "additional_parameters": {**options, **_requeue(job.cluster), "signal": NO_SIGNAL},
    }
    refuse_control_characters(values)
    refuse_special_characters(job.folder)
    return values


def python_command(job: BatchJob) -> str:
    """Return the shell words that stand for `python` in the batch script."""
    gpu = job.cluster.stage(job.stage).gpus > 0
    image = str(job.image.path) if job.image else None
    words = python_words(job.cluster, gpu=gpu, image=image, binds=(str(job.root),))
    refuse_control_characters(list(words))
    return " ".join(words)


def setup_lines(job: BatchJob) -> tuple[str, ...]:
    """Return the lines that run on the node's host before the command."""
    folder = shlex.quote(str(job.folder))
    complaint = "echo 'panic-hpc: the folder of this job is not its user'\\''s' >&2"
    stranger = f"{complaint}; exit {exit_codes.FOREIGN_FOLDER}"
    return (
        # First, since whoever owns the folder of pickles decides what this job runs.
        f"[ -O {folder} ] || {{ {stranger}; }}",
        deadline_line(job.cluster.stage(job.stage).walltime_min),
        # From Slurm 22.05 on srun does not take over the job's --cpus-per-task by itself.
        '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        *(f"export {name}={shlex.quote(value)}" for name, value in _exports(job).items()),
        *host_lines(job.cluster),
    )


def _exports(job: BatchJob) -> dict[str, str]:
    return {**thread_settings(job.threads), **(job.image.exports if job.image else {})}


def deadline_line(walltime_min: int | None) -> str:
    """Return the line that tells workers when the walltime ends, in seconds since the epoch."""
    asked = "" if walltime_min is None else f"$(( $(date +%s) + {walltime_min * 60} ))"
    # Slurm 22.05 was seen to set no SLURM_JOB_END_TIME; there the walltime counts from this line,
    # which is a little late.
    return f'export {DEADLINE_VARIABLE}="${{SLURM_JOB_END_TIME:-{asked}}}"'


def teardown_lines(*, requeue: bool) -> tuple[str, ...]:
    """Return the lines after the command: keep its exit code, and requeue where it asks for it."""
    ask = (
        f'  scontrol requeue "{THIS_TASK}" && sleep {WAIT_FOR_REQUEUE_S}',
        "  echo 'panic-hpc: this job was not requeued; submit again to go on'",
    )
    hint = ("  echo 'panic-hpc: the walltime ended first; submit again to go on'",)
    return (
        # First and last line: else the batch script's code is the last command's, and a failed task
        # counts as COMPLETED.
        "rc=$?",
        f'if [ "$rc" -eq {exit_codes.INTERRUPTED} ]; then',
        *(ask if requeue else hint),
        "fi",
        'exit "$rc"',
    )


def refuse_control_characters(value: Any) -> None:
    """Raise LaunchError for text that would not stay on its line of a batch script.

    A newline in a job's name was seen to be executed on the node.
    """
    if isinstance(value, str):
        hidden = [char for char in value if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]
        if hidden:
            raise LaunchError(f"{value!r} has control characters and cannot go into a batch script")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            refuse_control_characters([key, part])
    elif isinstance(value, Sequence):
        for part in value:
            refuse_control_characters(part)


def refuse_special_characters(folder: Path) -> None:
    """Raise LaunchError for a path that Slurm or submitit would read as more than a path.

    Both replace `%` patterns, and Slurm gives backslashes and quotes meanings of its own.
    """
    found = sorted(set(FORBIDDEN_IN_PATHS) & set(str(folder)))
    if found:
        raise LaunchError(
            f"Slurm cannot log to {folder}: it has {' '.join(found)} in it",
            hint="Move the experiment to a directory without such characters",
        )


def _srun_options(job: BatchJob) -> tuple[str, ...]:
    """Return srun's options: shards side by side go on without each other, ranks do not."""
    words = _launcher(job)
    if words[:1] == ("srun",):
        # A rank that is gone leaves the others waiting in a collective call.
        return ("--kill-on-bad-exit=1", *words[1:])
    # Both said, because sites set defaults of their own (KillOnBadExit, WaitTime).
    return ("--kill-on-bad-exit=0", "--wait=0")


def launch_words(job: BatchJob) -> tuple[str, ...]:
    """Return the words by which the one task of a job becomes its ranks; none elsewhere."""
    words = _launcher(job)
    return () if words[:1] == ("srun",) else words


def _launcher(job: BatchJob) -> tuple[str, ...]:
    """Return the words that stand before a program of several ranks; none for anything else."""
    mpi, ranks = job.cluster.mpi, job.cluster.stage(job.stage).tasks
    if job.launch != "ranks" or ranks == 1:
        return ()
    if mpi.launcher == "none":
        raise LaunchError(
            f"The profile {job.cluster.name} has no MPI launcher for {ranks} ranks",
            hint=f"Set mpi.launcher, or stages.{job.stage}.ranks_per_node = 1",
        )
    how = (
        ("srun", f"--mpi={mpi.plugin}") if mpi.launcher == "srun" else ("mpiexec", "-n", str(ranks))
    )
    return (*how, *mpi.options)


def _requeue(cluster: Cluster) -> dict[str, bool]:
    # Said either way: the site's JobRequeue decides otherwise.
    return {"requeue": True} if cluster.limits.requeue else {"no-requeue": True}


def _number(value: str | bool | None) -> int | None:
    return None if value is None else int(value)
