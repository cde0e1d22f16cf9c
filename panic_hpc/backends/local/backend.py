"""The local backend: stages in order, each by a pool of workers or in this process."""

import os
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from panic_hpc import clock, exit_codes
from panic_hpc.backends.base import Agree, Proposal, SubmitRequest, Watcher, agree_to_all
from panic_hpc.backends.local.pool import Pool, default_workers, environment_of, run_pool
from panic_hpc.backends.status_query import StatusSnapshot
from panic_hpc.clusters.cluster import Cluster, energy_options
from panic_hpc.disk.files import append_to
from panic_hpc.disk.private_dirs import private_folder
from panic_hpc.errors import Interrupted, LaunchError
from panic_hpc.models.hub.cache import cache_directory
from panic_hpc.planning.availability import refuse_unready
from panic_hpc.types import ShardId
from panic_hpc.worker.device import thread_settings
from panic_hpc.worker.stopper import halt_reason
from panic_hpc.worker.worker import WorkerOptions, run_shards
from panic_hpc.workspace.ledger import ArrayJob, Submission, new_submission, write_submission
from panic_hpc.workspace.process import is_running
from panic_hpc.workspace.shard_files import scan_shard_files
from panic_hpc.workspace.status import Queue, ShardStatus, Status, status
from panic_hpc.workspace.workspace import Workspace, adopt_sharing

MAX_ROUNDS = 20
"""Times that workers are started again for one stage after some of them died."""
LOOK_EVERY_S = 1.0
# Looking takes at most a tenth of the time, however many shards a listing has.
LOOK_COST_RATIO = 10.0
NOT_HERE = ("container", "python", "modules", "setup")
"""What a profile may say of jobs, and workers on this machine do not do."""


class LocalBackend:
    """Worker processes on this machine; see `backends.base.Backend`."""

    noun = "local worker"
    is_synchronous = True

    def propose(self, workspace: Workspace, request: SubmitRequest) -> Proposal:
        """Return how the stages stand: whatever is not completed or failed would be worked on."""
        _refuse_what_cannot_work(workspace, request)
        found = current_status(workspace)
        stages = request.stages or tuple(workspace.stages)
        n_left = sum(s.state != "completed" for stage in stages for s in found.stages[stage])
        return Proposal(n_left, tuple(found.summary(stage) for stage in stages))

    def submit(
        self,
        workspace: Workspace,
        request: SubmitRequest,
        watcher: Watcher,
        agree: Agree = agree_to_all,
    ) -> Submission:
        """Work through every stage; nobody is asked, for nothing is charged.

        Raises Interrupted on Ctrl-C, on a signal and where the halt file asks, with every shard in
        a state from which the same call goes on.
        """
        _refuse_what_cannot_work(workspace, request)
        adopt_sharing(workspace.paths.root)
        launch = _Launch(workspace, request, watcher)
        try:
            launch.close("running")
            for stage in request.stages or workspace.stages:
                launch.run_stage(stage)
            launch.close("finished")
        except (KeyboardInterrupt, Interrupted) as error:
            launch.close("interrupted")
            hint = "Type the same command to go on"
            raise Interrupted("Stopped; everything done so far is kept", hint=hint) from error
        except Exception:
            launch.close("failed")
            raise
        return launch.submission

    def queue(
        self, ledger: Sequence[Submission], unfinished: Collection[ShardId]
    ) -> tuple[Queue, str]:
        """Return nothing: what works here says so itself, by its lease."""
        return {}, ""

    def active(self, snapshot: StatusSnapshot, stages: Collection[str]) -> list[str]:
        """Return the pids of workers on this machine, outside of Slurm, that hold a lease."""
        pids = {
            lease.owner.pid
            for shard, (lease, state) in snapshot.files.leases.items()
            if shard.stage in stages
            and state == "held"
            and not lease.owner.slurm.job
            # A fresh lease may be another host's, where the pid means something else.
            and is_running(lease.owner)
        }
        return [str(pid) for pid in sorted(pids)]

    def cancel(self, workspace: Workspace, ids: Sequence[str]) -> None:
        """End workers, by their pids, at their next checkpoint."""
        for pid in ids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)


def _refuse_what_cannot_work(workspace: Workspace, request: SubmitRequest) -> None:
    refuse_what_is_for_jobs(request)
    variables = worker_environment(request.cluster, workspace.manifest.experiment.threads)
    cache = cache_directory({**os.environ, **variables})
    refuse_unready(workspace.manifest, workspace.paths.root, cache, request.cluster.name)


def refuse_what_is_for_jobs(request: SubmitRequest) -> None:
    """Raise LaunchError where a profile or request asks for what only jobs have."""
    cluster = request.cluster
    named = [name for name in NOT_HERE if getattr(cluster, name)]
    if named:
        raise LaunchError(
            f"The profile {cluster.name} has {', '.join(named)}, and its scheduler is local: "
            "workers on this machine run in this Python",
            hint="Leave that out, or set scheduler to slurm",
        )
    if request.image:
        raise LaunchError("--image is for jobs; workers on this machine run in this Python")


def worker_environment(cluster: Cluster, threads: int) -> Mapping[str, str]:
    """Return the variables of workers on this machine, in addition to this process's own; pure."""
    return {
        # submitit starts them with -m, and a random.py in the working directory would be Python's.
        "PYTHONSAFEPATH": "1",
        **cluster.paths.cache_variables,
        **cluster.grid_variables,
        **cluster.environment,
        **thread_settings(threads),
    }


def current_status(workspace: Workspace) -> Status:
    """Return the status from the files alone."""
    return status(workspace, scan_shard_files(workspace), {})


class _Launch:
    """One submission on this machine, under way."""

    def __init__(self, workspace: Workspace, request: SubmitRequest, watcher: Watcher) -> None:
        self.workspace = workspace
        self.request = request
        self.watcher = watcher
        self.submission = new_submission(request.executor, request.cluster.name)
        self.threads = workspace.manifest.experiment.threads
        self.environment = worker_environment(request.cluster, self.threads)

    def run_stage(self, stage: str) -> None:
        """Work on `stage` until nothing of it is left that could be worked on."""
        before = current_status(self.workspace)
        counts = before.counts(stage)
        self.watcher.begin(stage, sum(counts.values()), counts["completed"])
        todo = self._todo(stage, "retry" if self.request.retry else "disk")
        for _ in range(MAX_ROUNDS):
            if not todo:
                break
            self._record(stage, [one.shard.index for one in todo])
            self._run(stage, [one.shard.index for one in todo])
            self._heed_halt()
            tried, todo = todo, self._todo(stage, "")
            self._refuse_standstill(stage, tried, todo)
        self._wait_for_others(stage)
        self.watcher.end(stage, current_status(self.workspace))

    def _refuse_standstill(
        self, stage: str, before: Sequence[ShardStatus], after: Sequence[ShardStatus]
    ) -> None:
        """Workers that die are started again; those that do nothing at all would be for ever."""
        if any(one.stopped_by == "deadline" for one in after):
            raise Interrupted("The walltime ends")
        if after and len(before) == len(after) and not any(one.state == "lost" for one in after):
            raise LaunchError(
                f"The workers of {stage} ended without doing anything",
                hint=f"See the log in {self._folder(stage)}",
            )

    def _wait_for_others(self, stage: str) -> None:
        """Wait for shards that another submission is working on: the next stage reads them."""
        tick = Ticker(self.workspace, stage, self.watcher)
        while current_status(self.workspace).counts(stage)["submitted"]:
            self._heed_halt()
            tick()
            clock.sleep(LOOK_EVERY_S)

    def _heed_halt(self) -> None:
        if reason := halt_reason(self.workspace.paths.halt, clock.now()):
            raise Interrupted(reason)

    def close(self, outcome: str) -> None:
        """Write the last word into the ledger."""
        self.submission = replace(self.submission, outcome=outcome)
        write_submission(self.workspace.paths.ledger, self.submission)

    def _todo(self, stage: str, failed: Literal["retry", "disk", ""]) -> list[ShardStatus]:
        """Return the shards to start.

        Of those that failed: all in the first round of a retry, those that a file system failed in
        that of a submit, then none.
        """
        return [
            one
            for one in current_status(self.workspace).stages[stage]
            if one.state in ("eligible", "lost")
            or (one.state == "failed" and (failed == "retry" or (failed == "disk" and one.disk)))
        ]

    def _record(self, stage: str, todo: Sequence[int]) -> None:
        folder = str(self._folder(stage))
        # One name for all rounds, so that the ledger keeps the last of them.
        job = ArrayJob(
            stage,
            f"{stage}-{self.submission.name}",
            (tuple(todo),),
            folder,
            options=energy_options(self.request.cluster, stage),
        )
        self.submission = self.submission.with_array_job(job)
        write_submission(self.workspace.paths.ledger, self.submission)

    def _folder(self, stage: str) -> Path:
        return self.workspace.paths.submitit / f"{self.submission.name}-{stage}"

    def _run(self, stage: str, todo: Sequence[int]) -> None:
        options = WorkerOptions(
            self.submission.name, allow_other_numerics=self.request.allow_other_numerics
        )
        if self.request.executor == "inline":
            return self._run_inline(stage, todo, options)
        n_workers = min(self._n_workers(stage), len(todo))
        folder = self._folder(stage)
        pool = Pool(self.workspace.paths.root, folder, n_workers, self.environment)
        options = replace(options, parent=os.getpid(), n_workers_sharing_cores=n_workers)
        return run_pool(pool, stage, todo, options, Ticker(self.workspace, stage, self.watcher))

    def _run_inline(self, stage: str, todo: Sequence[int], options: WorkerOptions) -> None:
        log = private_folder(self._folder(stage)) / f"{os.getpid()}_log.out"
        # What a worker writes belongs into its log, here too.
        with (
            append_to(log) as stream,
            redirect_stdout(stream),
            environment_of(self.environment),
        ):
            code = run_shards(str(self.workspace.paths.root), stage, todo, options)
        if code == exit_codes.SIGNALLED:
            raise Interrupted("Stopped by a signal")
        # Rounds begin in this same process, where every other shard would fail for want of a GPU.
        if code == exit_codes.INTERRUPTED:
            raise Interrupted("The walltime ends, or this process has lost its GPU")

    def _n_workers(self, stage: str) -> int:
        asked = self.request.workers or self.request.cluster.workers
        resources = self.request.cluster.stage(stage)
        n_cores = max(self.threads, resources.cpus or 1)
        return asked or default_workers(n_cores, getattr(resources, "workers_per_gpu", 1))


class Ticker:
    """Tells the watcher how far a stage is, no more often than that is cheap."""

    def __init__(self, workspace: Workspace, stage: str, watcher: Watcher) -> None:
        self.workspace = workspace
        self.stage = stage
        self.watcher = watcher
        self._next = 0.0

    def __call__(self) -> None:
        """Look, if it is time to."""
        began = clock.monotonic()
        if began < self._next:
            return
        found = current_status(self.workspace)
        done = sum(one.fraction for one in found.stages[self.stage])
        self.watcher.advance(self.stage, done, found.counts(self.stage)["failed"])
        cost = clock.monotonic() - began
        self._next = clock.monotonic() + max(LOOK_EVERY_S, LOOK_COST_RATIO * cost)
