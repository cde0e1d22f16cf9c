"""`submit` on this machine: stages in order, each by a pool of workers or in this process."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from panic_hpc.backends.local.pool import Pool, default_workers, run_pool
from panic_hpc.errors import Interrupted, LaunchError
from panic_hpc.worker.device import thread_settings
from panic_hpc.worker.stopper import halt_reason
from panic_hpc.worker.worker import EXIT_SIGNALLED, WorkerOptions, run_shards
from panic_hpc.workspace.ledger import ArrayJob, Submission, new_submission, write_submission
from panic_hpc.workspace.shard_files import scan_shard_files
from panic_hpc.workspace.status import ShardStatus, Status, status
from panic_hpc.workspace.workspace import Workspace, adopt_sharing

MAX_ROUNDS = 20
"""Times that workers are started again for one stage after some of them died."""
LOOK_EVERY_S = 1.0
# Looking takes at most a tenth of the time, however many shards a listing has.
LOOK_COST_RATIO = 10.0


class Watcher(Protocol):
    """Whoever shows the progress of a submission."""

    def begin(self, stage: str, total: int, completed: int) -> None:
        """A stage has begun."""

    def advance(self, stage: str, completed: float, failed: int) -> None:
        """So many shards (with fractions of those under way) are completed now."""

    def end(self, stage: str, state: "Status") -> None:
        """A stage is over, for now."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What the command line decides for `--executor local` and `inline`."""

    executor: Literal["local", "inline"] = "local"
    workers: int = 0
    stages: tuple[str, ...] = ()
    retry: bool = False
    allow_other_numerics: bool = False


def executor_name(name: str) -> Literal["local", "inline"]:
    """Return `name` where it is an executor on this machine, else raise LaunchError."""
    if name == "local":
        return "local"
    if name == "inline":
        return "inline"
    raise LaunchError(f"There is no executor {name!r}", hint="Known: local, inline")


def current_status(workspace: Workspace) -> Status:
    """Return the status from the files alone."""
    return status(workspace, scan_shard_files(workspace), {})


def submit_locally(workspace: Workspace, options: LocalOptions, watcher: Watcher) -> Status:
    """Work through every stage and return the status afterwards.

    Raises Interrupted on Ctrl-C, on a signal and where the halt file asks, with every shard in a
    state from which the same call goes on.
    """
    adopt_sharing(workspace.paths.root)
    submission = replace(new_submission(options.executor), outcome="running")
    launch = _Launch(workspace, options, watcher, submission)
    try:
        for stage in options.stages or workspace.stages:
            launch.run_stage(stage)
        launch.close("finished")
    except (KeyboardInterrupt, Interrupted) as error:
        launch.close("interrupted")
        hint = "Type the same command to go on"
        raise Interrupted("Stopped; everything done so far is kept", hint=hint) from error
    return current_status(workspace)


class _Launch:
    """One submission on this machine, under way."""

    def __init__(
        self,
        workspace: Workspace,
        options: LocalOptions,
        watcher: Watcher,
        submission: Submission,
    ) -> None:
        self.workspace = workspace
        self.options = options
        self.watcher = watcher
        self.submission = submission
        self.threads = workspace.manifest.experiment.threads

    def run_stage(self, stage: str) -> None:
        """Work on `stage` until nothing of it is left that could be worked on."""
        before = current_status(self.workspace)
        counts = before.counts(stage)
        self.watcher.begin(stage, sum(counts.values()), counts["completed"])
        todo = self._todo(stage, retry=self.options.retry)
        for _ in range(MAX_ROUNDS):
            if not todo:
                break
            self._record(stage, [one.shard.index for one in todo])
            self._run(stage, [one.shard.index for one in todo])
            self._heed_halt()
            tried, todo = todo, self._todo(stage, retry=False)
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
            time.sleep(LOOK_EVERY_S)

    def _heed_halt(self) -> None:
        if reason := halt_reason(self.workspace.paths.halt, time.time()):
            raise Interrupted(reason)

    def close(self, outcome: str) -> None:
        """Write the last word into the ledger."""
        self.submission = replace(self.submission, outcome=outcome)
        write_submission(self.workspace.paths.ledger, self.submission)

    def _todo(self, stage: str, *, retry: bool) -> list[ShardStatus]:
        """Return the shards to start; failed ones only in the first round of a retry."""
        states = {"eligible", "lost"} | ({"failed"} if retry else set())
        found = current_status(self.workspace).stages[stage]
        return [one for one in found if one.state in states]

    def _record(self, stage: str, todo: Sequence[int]) -> None:
        folder = str(self._folder(stage))
        # One name for all rounds, so that the ledger keeps the last of them.
        chunk = ArrayJob(stage, f"{stage}-{self.submission.name}", (tuple(todo),), folder)
        self.submission = self.submission.with_chunk(chunk)
        write_submission(self.workspace.paths.ledger, self.submission)

    def _folder(self, stage: str) -> Path:
        return self.workspace.paths.submitit / f"{self.submission.name}-{stage}"

    def _run(self, stage: str, todo: Sequence[int]) -> None:
        root = self.workspace.paths.root
        options = WorkerOptions(
            self.submission.name, allow_other_numerics=self.options.allow_other_numerics
        )
        if self.options.executor == "inline":
            os.environ.update(thread_settings(self.threads))
            code = run_shards(str(root), stage, todo, options)
            if code == EXIT_SIGNALLED:
                raise Interrupted("Stopped by a signal")
            return
        workers = min(self.options.workers or default_workers(self.threads), len(todo))
        pool = Pool(root, self._folder(stage), workers, self.threads)
        options = replace(options, parent=os.getpid(), rivals=workers)
        run_pool(pool, stage, todo, options, Ticker(self.workspace, stage, self.watcher))


class Ticker:
    """Tells the watcher how far a stage is, no more often than that is cheap."""

    def __init__(self, workspace: Workspace, stage: str, watcher: Watcher) -> None:
        self.workspace = workspace
        self.stage = stage
        self.watcher = watcher
        self._next = 0.0

    def __call__(self) -> None:
        """Look, if it is time to."""
        began = time.monotonic()
        if began < self._next:
            return
        found = current_status(self.workspace)
        done = sum(one.fraction for one in found.stages[self.stage])
        self.watcher.advance(self.stage, done, found.counts(self.stage)["failed"])
        cost = time.monotonic() - began
        self._next = time.monotonic() + max(LOOK_EVERY_S, LOOK_COST_RATIO * cost)


def clear_halt(workspace: Workspace) -> bool:
    """Remove a halt file that asks to stop now; return whether there was one."""
    asked = bool(halt_reason(workspace.paths.halt, time.time()))
    if asked:
        workspace.paths.halt.unlink(missing_ok=True)
    return asked
