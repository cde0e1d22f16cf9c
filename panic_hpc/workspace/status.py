"""The status of every shard: files first, then what one scheduler query says. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from panic_hpc.types import Shard, ShardId
from panic_hpc.workspace.events import shard_name
from panic_hpc.workspace.lease_text import Lease, Progress
from panic_hpc.workspace.shard_files import ShardFiles
from panic_hpc.workspace.workspace import Workspace

State = Literal["completed", "submitted", "eligible", "waiting", "failed", "lost"]
STATES: tuple[State, ...] = get_args(State)

NEVER = "DependencyNeverSatisfied"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """What the scheduler says of the job that has a shard in its list.

    `state` is Slurm's word, "" where it knows the job no more; `submitted` is in seconds.
    """

    job: str
    state: str
    reason: str = ""
    nodes: str = ""
    submitted: float = 0.0

    @property
    def is_active(self) -> bool:
        """Whether the job is still to run or running."""
        return self.state in ACTIVE


# Every state from which a job may still run: one taken for ended would be submitted twice. submitit
# counts several of them as done.
ACTIVE = frozenset(
    {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED",
     "RESIZING", "REQUEUE_FED", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT",
     "RESV_DEL_HOLD", "NO_ANSWER"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard's status.

    state, detail, hint: what it is, why, and what to type.
    job: the id of the job that works on it, or did last; "" for none.
    running: whether somebody works on it now.
    done, total: how far its work is, in units of its stage; 0 and 0 where nobody said.
    stopped_by: why its lease was left: "deadline", "stopped", "waiting"; "" where it was not.
    disk: whether it failed because of a file system, so that `submit` tries it again too.
    """

    shard: Shard
    state: State
    detail: str = ""
    hint: str = ""
    job: str = ""
    running: bool = False
    done: int = 0
    total: int = 0
    stopped_by: str = ""
    disk: bool = False

    @property
    def name(self) -> str:
        """The shard as it is called on the command line."""
        return shard_name(self.shard.stage, self.shard.index)

    @property
    def fraction(self) -> float:
        """How much of the shard is done, in [0, 1]."""
        if self.state == "completed":
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """The statuses of all shards, by stage in order."""

    stages: Mapping[str, tuple[ShardStatus, ...]]
    queued: bool = field(default=False)

    def counts(self, stage: str) -> Counter[str]:
        """Return how many shards of `stage` are in each state."""
        return Counter(status.state for status in self.stages[stage])

    def summary(self, stage: str) -> str:
        """Return one stage's counts as text: `runs: 12 completed, 1 failed`."""
        parts = [f"{number} {state}" for state, number in self.counts(stage).items() if number]
        return f"{stage}: " + (", ".join(parts) or "nothing to do")

    def of(self, shard: ShardId) -> ShardStatus:
        """Return the status of one shard."""
        return self.stages[shard.stage][shard.index]

    def all(self) -> Iterable[ShardStatus]:
        """Yield every shard's status."""
        return (status for stage in self.stages.values() for status in stage)

    @property
    def is_complete(self) -> bool:
        """Whether every shard is completed."""
        return all(status.state == "completed" for status in self.all())


Queue = Mapping[ShardId, QueueEntry]


def status(workspace: Workspace, files: ShardFiles, queue: Queue) -> Status:
    """Return the status of every shard from the files' word and the scheduler's."""
    stages = {
        stage: tuple(
            _with_what_lacks(shard_status(shard, files, queue), files)
            for shard in workspace.shards(stage)
        )
        for stage in workspace.stages
    }
    return Status(stages, queued=bool(queue))


def _with_what_lacks(status: ShardStatus, files: ShardFiles) -> ShardStatus:
    """Say of a shard to come that its file is there already, and what is wrong with it."""
    if status.shard.id not in files.lacking:
        return status
    detail = "; ".join(text for text in (files.lacking[status.shard.id], status.detail) if text)
    hint = "`panic-hpc submit` makes it anew once all that it reads is there"
    return replace(status, detail=detail, hint=status.hint or hint)


def shard_status(shard: Shard, files: ShardFiles, queue: Queue) -> ShardStatus:
    """Return the status of one shard."""
    # Whatever the queue says: a job for a published shard finds its file and ends.
    if shard.id in files.published:
        return ShardStatus(shard, "completed", files.remarks.get(shard.id, ""))
    lease, state = files.leases.get(shard.id, (None, "void"))
    entry = queue.get(shard.id)
    if lease and state == "held" and not _is_disowned(lease, entry):
        return _running(shard, lease)
    if entry and entry.is_active:
        return _queued(shard, entry, lease)
    # Only now: an earlier attempt's record stays until the retry that is queued or runs succeeds.
    if shard.id in files.failures:
        failure = files.failures[shard.id]
        detail = f"{failure.kind}: {failure.reason}"
        hint = "`panic-hpc submit` tries it again" if failure.disk else ""
        return ShardStatus(shard, "failed", detail, hint, failure.job, disk=failure.disk)
    if missing := [needed for needed in shard.inputs if needed not in files.published]:
        return ShardStatus(shard, "waiting", "needs " + _some(missing))
    return _not_queued(shard, lease, entry)


def _is_disowned(lease: Lease, entry: QueueEntry | None) -> bool:
    """Whether the scheduler says that the job of a lease on an unseen host is over."""
    job = lease.owner.slurm.label
    return bool(job) and entry is not None and entry.job == job and not entry.is_active


def _running(shard: Shard, lease: Lease) -> ShardStatus:
    owner = lease.owner
    slurm = owner.slurm
    where = f"{slurm.node or owner.host} (job {slurm.label})" if slurm.job else owner.host
    detail = f"running on {where}, pid {owner.pid}"
    done, total = lease.progress.done, lease.progress.total
    job = owner.slurm.label
    return ShardStatus(shard, "submitted", detail, "", job, running=True, done=done, total=total)


def _queued(shard: Shard, entry: QueueEntry, lease: Lease | None) -> ShardStatus:
    done, total = (lease.progress.done, lease.progress.total) if lease else (0, 0)
    if entry.reason == NEVER:
        hint = "Type `panic-hpc retry`: it cancels such jobs and submits them again"
        detail = f"{NEVER}: what job {entry.job} waits for has failed"
        return ShardStatus(shard, "submitted", detail, hint, entry.job, False, done, total)
    where = entry.nodes if entry.state == "RUNNING" else entry.reason
    detail = entry.state.lower() + (f" ({where})" if where else "")
    running = entry.state == "RUNNING"
    return ShardStatus(shard, "submitted", detail, "", entry.job, running, done, total)


def _not_queued(shard: Shard, lease: Lease | None, entry: QueueEntry | None) -> ShardStatus:
    progress = lease.progress if lease else None
    done, total = (progress.done, progress.total) if progress else (0, 0)
    if progress and progress.kind != "running" and not _is_before(progress, entry):
        detail = f"was {progress.kind}: {progress.reason}" if progress.reason else ""
        kind = progress.kind
        return ShardStatus(shard, "eligible", detail, done=done, total=total, stopped_by=kind)
    if lease and lease.progress.kind == "running":
        owner = lease.owner
        detail = f"its worker on {owner.host} (pid {owner.pid}) died" + _last_word(entry)
        return ShardStatus(shard, "lost", detail, job=owner.slurm.label, done=done, total=total)
    if entry and entry.state == "CANCELLED":
        return ShardStatus(shard, "eligible", f"job {entry.job} was cancelled before it began")
    if entry:
        detail = f"job {entry.job} ended without a word" + _last_word(entry)
        return ShardStatus(shard, "lost", detail, job=entry.job)
    return ShardStatus(shard, "eligible")


def _is_before(progress: Progress, entry: QueueEntry | None) -> bool:
    """Whether a lease was left before a job was submitted that has not said anything since."""
    return entry is not None and progress.updated < entry.submitted


def _last_word(entry: QueueEntry | None) -> str:
    return f" (Slurm says {entry.state})" if entry and entry.state else ""


def _some(needed: list[ShardId], limit: int = 4) -> str:
    names = ", ".join(shard_name(one.stage, one.index) for one in needed[:limit])
    return names + (f" and {len(needed) - limit} more" if len(needed) > limit else "")
