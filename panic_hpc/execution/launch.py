"""`submit` on this machine: stages in order, each by a pool of workers or in this process."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from panic_hpc.errors import Interrupted, LaunchError
from panic_hpc.execution.device import thread_settings
from panic_hpc.execution.experiment import Experiment, adopt_sharing
from panic_hpc.execution.ledger import Chunk, Submission, new_submission, write_submission
from panic_hpc.execution.local import Pool, default_workers, run_pool
from panic_hpc.execution.status import ShardStatus, Status, status
from panic_hpc.execution.stopping import halt_reason
from panic_hpc.execution.survey import survey
from panic_hpc.execution.worker import EXIT_SIGNALLED, WorkerOptions, run_shards

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


def current_status(experiment: Experiment) -> Status:
    """Return the status from the files alone."""
    return status(experiment, survey(experiment), {})


def submit_locally(experiment: Experiment, options: LocalOptions, watcher: Watcher) -> Status:
    """Work through every stage and return the status afterwards.

    Raises Interrupted on Ctrl-C, on a signal and where the halt file asks, with every shard in a
    state from which the same call goes on.
    """
    adopt_sharing(experiment.paths.root)
    submission = replace(new_submission(options.executor), outcome="running")
    launch = _Launch(experiment, options, watcher, submission)
    try:
        for stage in options.stages or experiment.stage_order():
            launch.run_stage(stage)
        launch.close("finished")
    except (KeyboardInterrupt, Interrupted) as error:
        launch.close("interrupted")
        hint = "Type the same command to go on"
        raise Interrupted("Stopped; everything done so far is kept", hint=hint) from error
    return current_status(experiment)


class _Launch:
    """One submission on this machine, under way."""

    def __init__(
        self,
        experiment: Experiment,
        options: LocalOptions,
        watcher: Watcher,
        submission: Submission,
    ) -> None:
        self.experiment = experiment
        self.options = options
        self.watcher = watcher
        self.submission = submission
        self.threads = experiment.manifest.experiment.threads

    def run_stage(self, stage: str) -> None:
        """Work on `stage` until nothing of it is left that could be worked on."""
        before = current_status(self.experiment)
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
        self.watcher.end(stage, current_status(self.experiment))

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
        tick = Ticker(self.experiment, stage, self.watcher)
        while current_status(self.experiment).counts(stage)["submitted"]:
            self._heed_halt()
            tick()
            time.sleep(LOOK_EVERY_S)

    def _heed_halt(self) -> None:
        if reason := halt_reason(self.experiment.paths.halt, time.time()):
            raise Interrupted(reason)

    def close(self, outcome: str) -> None:
        """Write the last word into the ledger."""
        self.submission = replace(self.submission, outcome=outcome)
        write_submission(self.experiment.paths.ledger, self.submission)

    def _todo(self, stage: str, *, retry: bool) -> list[ShardStatus]:
        """Return the shards to start; failed ones only in the first round of a retry."""
        states = {"eligible", "lost"} | ({"failed"} if retry else set())
        found = current_status(self.experiment).stages[stage]
        return [one for one in found if one.state in states]

    def _record(self, stage: str, todo: Sequence[int]) -> None:
        folder = str(self._folder(stage))
        # One name for all rounds, so that the ledger keeps the last of them.
        chunk = Chunk(stage, f"{stage}-{self.submission.name}", (tuple(todo),), folder)
        self.submission = self.submission.with_chunk(chunk)
        write_submission(self.experiment.paths.ledger, self.submission)

    def _folder(self, stage: str) -> Path:
        return self.experiment.paths.submitit / f"{self.submission.name}-{stage}"

    def _run(self, stage: str, todo: Sequence[int]) -> None:
        root = self.experiment.paths.root
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
        run_pool(pool, stage, todo, options, Ticker(self.experiment, stage, self.watcher))


class Ticker:
    """Tells the watcher how far a stage is, no more often than that is cheap."""

    def __init__(self, experiment: Experiment, stage: str, watcher: Watcher) -> None:
        self.experiment = experiment
        self.stage = stage
        self.watcher = watcher
        self._next = 0.0

    def __call__(self) -> None:
        """Look, if it is time to."""
        began = time.monotonic()
        if began < self._next:
            return
        found = current_status(self.experiment)
        done = sum(one.fraction for one in found.stages[self.stage])
        self.watcher.advance(self.stage, done, found.counts(self.stage)["failed"])
        cost = time.monotonic() - began
        self._next = time.monotonic() + max(LOOK_EVERY_S, LOOK_COST_RATIO * cost)


def clear_halt(experiment: Experiment) -> bool:
    """Remove a halt file that asks to stop now; return whether there was one."""
    asked = bool(halt_reason(experiment.paths.halt, time.time()))
    if asked:
        experiment.paths.halt.unlink(missing_ok=True)
    return asked
