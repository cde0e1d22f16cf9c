"""What a local process and an array task do: lease, check inputs, execute, record, release.

Nothing is trusted but files: a shard is worked on where its file is absent, its inputs are there
and its lease was won. The same function is called by tests, by a local pool and by Slurm.
"""

import os
import resource
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from panic_hpc import clock, exit_codes
from panic_hpc.disk.system import remove
from panic_hpc.errors import Interrupted, PanicError
from panic_hpc.installed import lookup
from panic_hpc.memory import memory_bytes
from panic_hpc.models.device.energy import EnergyMeter, grid_intensity
from panic_hpc.models.device.errors import find_sticky
from panic_hpc.models.torch_setup import CUBLAS_WORKSPACE
from panic_hpc.stages.base import ABSENT, Context, Stage
from panic_hpc.stages.calls import line_of
from panic_hpc.types import Shard
from panic_hpc.worker.device import cores, device, gpu_numbers
from panic_hpc.worker.provenance import provenance
from panic_hpc.worker.stopper import Stopper, deadline, signals_noted
from panic_hpc.workspace import leases
from panic_hpc.workspace.events import say_event, shard_name
from panic_hpc.workspace.failures import failure_of, read_failure, write_failure
from panic_hpc.workspace.leases import HeldLease
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.workspace import Workspace, adopt_sharing, open_workspace

Outcome = Literal["completed", "failed", "waiting", "stopped", "elsewhere"]

MAX_DEATHS = 5
"""Owners of a shard that may be lost in a row, without any progress, before it counts as failed."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What whoever starts a worker decides; primitives only, so that it travels anywhere.

    submission: the ledger's name of this attempt: what failed in it is not tried again by it.
    parent: the pid of a process whose end is this worker's; 0 for none.
    build: that of the container image that the work was submitted for; "" for none, None where it
        does not matter.
    launch: the words by which this process becomes the ranks of a stage that ranks share.
    allow_other_numerics: whether checkpoints of another numerics class are continued.
    n_workers_sharing_cores: how many workers share this one's cores and memory, itself among them.
    """

    submission: str = ""
    parent: int = 0
    build: str | None = None
    launch: tuple[str, ...] = ()
    allow_other_numerics: bool = False
    n_workers_sharing_cores: int = 1


def run_shards(root: str, stage: str, indices: Sequence[int], options: WorkerOptions) -> int:
    """Work through those shards of `stage` that nobody else does, and return an exit code.

    0: done, or left because inputs are missing or the halt file asks; 1: some failed;
    85: the walltime ended first, or this process lost its GPU: start me again; 143: stopped by a
    signal.
    """
    adopt_sharing(Path(root))
    return run_worker(Worker(open_workspace(Path(root)), options), stage, indices)


def run_worker(worker: "Worker", stage: str, indices: Sequence[int]) -> int:
    """Let `worker` work, signals noted, and return an exit code: see `run_shards`."""
    with signals_noted(worker.stopper):
        outcomes: Counter[str] = Counter(worker.run(stage, indices))
    say_event("worker-ends", outcomes=dict(outcomes), cause=worker.stopper.cause)
    return exit_code(outcomes, worker.stopper.cause)


def exit_code(outcomes: Mapping[str, int], cause: str) -> int:
    """Return what a worker tells its batch script; pure."""
    if cause in ("deadline", "device") and outcomes.get("stopped"):
        return exit_codes.INTERRUPTED
    if cause == "signal":
        return exit_codes.SIGNALLED
    return exit_codes.ERROR if outcomes.get("failed") else exit_codes.OK


class Worker:
    """One process at work on shards, one after the other."""

    def __init__(self, workspace: Workspace, options: WorkerOptions) -> None:
        self.workspace = workspace
        self.options = options
        self.process = this_process()
        self.device = device()
        # Here too, for families of other packages that start CUDA without asking `torch_for`.
        os.environ.setdefault(*CUBLAS_WORKSPACE)
        halt = workspace.paths.halt
        self.stopper = Stopper(halt, deadline=deadline(), parent=options.parent)
        # Once a worker, since it asks git and the metadata of every library.
        self._provenance = provenance(self.process, self.device)
        self._meter = EnergyMeter(gpu_numbers())

    def run(self, stage_name: str, indices: Sequence[int]) -> Iterable[Outcome]:
        """Yield what became of each of `indices`, in their order, until something says stop.

        The first is attended to in any case: a walltime that is over before anything has begun
        must leave word too, or the job would be requeued for ever.
        """
        stage: Stage = lookup(self.workspace.stages, stage_name, "stage")
        shards = self.workspace.shards(stage_name)
        for number, index in enumerate(indices):
            stops = bool(number and self.stopper(0.0))
            outcome = "stopped" if stops else self._attend(stage, shards[index])
            yield outcome
            if outcome == "stopped":
                return

    def _attend(self, stage: Stage, shard: Shard) -> Outcome:
        paths = self.workspace.paths
        if not self.workspace.lacking(shard):
            return "completed"
        if self._failed_in_this_submission(shard):
            return "failed"
        held = leases.take(paths.lease(shard), self.process, self.options.submission)
        if held is None:
            return "elsewhere"
        with held:
            return self._with_lease(stage, shard, held)

    def _with_lease(self, stage: Stage, shard: Shard, held: HeldLease) -> Outcome:
        # Again: it may have been published between the look before and the lease.
        if not self.workspace.lacking(shard):
            return "completed"
        if missing := missing_inputs(self.workspace, shard):
            held.leave("waiting", "needs " + ", ".join(missing))
            say_event("waiting", shard, missing=missing)
            return "waiting"
        # Before the work, which may kill this process too before it can say anything.
        if held.lease.deaths >= MAX_DEATHS:
            reason = f"{held.lease.deaths} workers died on it in a row without any progress"
            return self._failed(shard, PanicError(reason, hint="Look at its log, then retry"))
        return self._timed(stage, shard, held)

    def _timed(self, stage: Stage, shard: Shard, held: HeldLease) -> Outcome:
        began, cpu_seconds, joules = clock.now(), _cpu_seconds(), self._meter.joules()
        say_event("begins", shard, host=self.process.host, job=self.process.slurm.label)
        outcome = self._execute(stage, shard, held)
        say_event(
            outcome,
            shard,
            seconds=round(clock.now() - began, 3),
            peak_gb=_peak_gb(),
            cpu_seconds=round(_cpu_seconds() - cpu_seconds, 1),
            **self._meter.since(joules),
        )
        return outcome

    def _execute(self, stage: Stage, shard: Shard, held: HeldLease) -> Outcome:
        self.stopper.is_lease_lost = held.lost
        try:
            if reason := self.stopper(0.0):
                raise Interrupted(reason)
            stage.execute(self._context(held), shard)
            return self._completed(shard)
        except Interrupted as error:
            return self._interrupted(shard, held, error)
        except Exception as error:
            if find_sticky(error):
                # The shards behind it are another process's: here they would all fail alike.
                self.stopper.lose_device("this process has lost its GPU")
            # A record would say of its follower's work that it failed.
            return self._followed(shard, held, error) if held.lost() else self._failed(shard, error)
        finally:
            self.stopper.forget_lease()

    def _context(self, held: HeldLease) -> Context:
        joules = self._meter.joules()
        return Context(
            manifest=self.workspace.manifest,
            paths=self.workspace.paths,
            device=self.device,
            provenance=self._provenance | {"started": clock.now()},
            should_stop=self.stopper,
            report=held.report,
            allow_other_numerics=self.options.allow_other_numerics,
            cpus=max(1, cores() // self.options.n_workers_sharing_cores),
            memory_bytes=memory_bytes() // self.options.n_workers_sharing_cores,
            deadline=self.stopper.work_until,
            joules=self._meter.joules,
            energy=lambda: self._energy(joules),
        )

    def _energy(self, before: float | None) -> dict[str, Any]:
        """Return what a header records of the energy since the meter said `before`."""
        used = self._meter.since(before)
        return used | grid_intensity(os.environ) if "joules" in used else used

    def _completed(self, shard: Shard) -> Outcome:
        paths = self.workspace.paths
        # A stage that returns is not believed; what others read is its file.
        if lacks := self.workspace.lacking(shard):
            # With the reason: where a disk failed at this look, the shard did not.
            said = f"{paths.shard(shard)} was not published: {lacks}"
            return self._failed(shard, PanicError(said))
        remove(paths.failure(shard))
        return "completed"

    def _interrupted(self, shard: Shard, held: HeldLease, error: Interrupted) -> Outcome:
        if self.stopper.cause == "lease" or held.lost():
            return self._followed(shard, held, error)
        if self.stopper.cause == "deadline" and _is_stuck(held):
            reason = "two attempts in a row ended at their walltime without any progress"
            hint = "Give the stage a longer walltime, then retry"
            return self._failed(shard, PanicError(reason, hint=hint))
        held.leave("deadline" if self.stopper.cause == "deadline" else "stopped", error.message)
        return "stopped"

    def _followed(self, shard: Shard, held: HeldLease, error: BaseException) -> Outcome:
        """Say who took the shard over: what is published and recorded of it is that one's word."""
        follower = leases.holder(held.path)[0]
        by = f" by {follower.owner.host} pid {follower.owner.pid}" if follower else ""
        name = shard_name(shard.stage, shard.index)
        said = f"{name} was taken over{by} while this process stood still; this one leaves it"
        if not isinstance(error, Interrupted):
            said = f"{said} ({line_of(error)})"
        say_event("taken-over", shard, reason=said)
        print(said, file=sys.stderr, flush=True)
        return "elsewhere"

    def _failed(self, shard: Shard, error: BaseException) -> Outcome:
        failure = failure_of(error, self.process, self.options.submission)
        write_failure(self.workspace.paths.failure(shard), failure)
        # What was raised on purpose says all of it; the record has the trace of both.
        said = str(error) if isinstance(error, PanicError) else failure.trace
        print(said, file=sys.stderr, flush=True)
        return "failed"

    def _failed_in_this_submission(self, shard: Shard) -> bool:
        failure = read_failure(self.workspace.paths.failure(shard))
        return failure is not None and failure.submission == self.options.submission != ""


def missing_inputs(workspace: Workspace, shard: Shard) -> list[str]:
    """Return the names of the shards that `shard` reads and that are not published.

    On NFS an absent name may be remembered for a minute: the directory is read before it is
    believed.
    """
    missing = []
    for needed in shard.inputs:
        source = workspace.shards(needed.stage)[needed.index]
        lacks = workspace.lacking(source)
        if lacks and not (lacks == ABSENT and _is_listed(workspace.paths.shard(source))):
            missing.append(shard_name(needed.stage, needed.index))
    return missing


def _is_listed(path: Path) -> bool:
    return path.parent.is_dir() and path.name in os.listdir(path.parent)


def _is_stuck(held: HeldLease) -> bool:
    """Whether the attempt before ended at its deadline too, and this one got no further."""
    before = held.predecessor
    return (
        before is not None
        and before.progress.kind == "deadline"
        and held.progress.done <= before.progress.done
    )


def _peak_gb() -> float:
    # In KiB, and of the process so far: a later shard's figure holds those of the ones before it.
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def _cpu_seconds() -> float:
    """Return the processor time so far of this process and of the children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
