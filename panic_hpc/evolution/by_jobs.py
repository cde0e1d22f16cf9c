"""A series on a cluster: each round as jobs, and one small job behind them that goes on.

Nobody waits: `advance` submits a round, and a job that calls `advance` again when the round is
merged, or when a job of it has failed. It tries a round three times, then stops and says why.

S/rounds/000.try-1.json   what was submitted for a round, and by whom: a person or a job
S/stopped.json            why the jobs have stopped; gone when somebody goes on
S/jobs/                   what Slurm was given for the small jobs, and their logs
"""

import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from panic_hpc import api, clock
from panic_hpc.backends.base import SubmitRequest, Watcher, request_for
from panic_hpc.backends.slurm import sbatch
from panic_hpc.backends.slurm.batch_script import BatchJob
from panic_hpc.backends.status_query import query_status
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.clusters.resources import ShardResources, StageResources
from panic_hpc.disk.files import create_file, replace_file, to_json
from panic_hpc.disk.system import remove
from panic_hpc.errors import AbsentError, PanicError
from panic_hpc.evolution.driving import advance, read_plan
from panic_hpc.evolution.judging import UnderWay, Waiting
from panic_hpc.evolution.rounds import GenerationPaths
from panic_hpc.types import DIAGRAMS, MERGE
from panic_hpc.validation.record import Moment, read_record
from panic_hpc.workspace.ledger import ArrayJob
from panic_hpc.workspace.status import NEVER, Queue
from panic_hpc.workspace.workspace import Workspace

MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class RoundTry:
    """One submission of a round: to which cluster, by a person or not, and the job that goes on."""

    cluster: str
    is_by_hand: bool
    at: Moment
    follower: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why jobs have stopped: the number of the round, and what is wrong with it."""

    round: int
    why: str


@dataclass(frozen=True)
class RoundsByJobs:
    """Completes rounds by jobs; a person's, or what a small job does.

    cluster: the profile's name as it was typed, for the next small job.
    """

    root: Path
    cluster: str
    is_by_hand: bool

    def complete(
        self, paths: GenerationPaths, request: SubmitRequest, progress: bool | Watcher
    ) -> Workspace:
        """Return a round that is merged; else submit what it lacks, and raise UnderWay."""
        workspace = api.plan(paths.file, paths.experiment)
        found = query_status(workspace)
        state = found.status
        if state.is_complete:
            return workspace
        named = f"Round {paths.number + 1}"
        if going := going_jobs(found.queue):
            follower = "" if self.is_by_hand else self._follow(request.cluster, after(going))
            rest = f", and {_goes_on(follower)}" if follower else ""
            raise UnderWay(f"{named} is under way{rest}", hint=self._hint)
        tries = tries_of(paths)
        if not self.is_by_hand and len(tries) >= MOST_TRIES:
            left = [shard for shard in state.all() if shard.state != "completed"]
            why = "; ".join(f"{one.name} {one.state}: {one.detail}" for one in left[:3])
            raise PanicError(f"{named} was tried {MOST_TRIES} times: {why}")
        # `retry` takes what failed and leaves what was never tried, and `submit` the other way.
        has_failed = any(shard.state == "failed" for shard in state.all())
        asked = [replace(request, retry=retry) for retry in ([True] * has_failed + [False])]
        sent = [one for each in asked if (one := api.submit(workspace, each, progress=progress))]
        if not sent:
            raise PanicError(
                f"{named} is not merged, and there is nothing to submit",
                hint=f"panic-hpc status {paths.experiment} says why",
            )
        jobs = [job for one in sent for job in one.array_jobs]
        follower = self._follow(request.cluster, behind(jobs))
        told = RoundTry(self.cluster, self.is_by_hand, clock.now(), follower)
        create_file(paths.attempt(_n_files(paths) + 1), to_json(asdict(told)))
        raise UnderWay(f"{named} is submitted, and {_goes_on(follower)}", hint=self._hint)

    @property
    def _hint(self) -> str:
        return f"panic-hpc series show {self.root} says how it stands"

    def _follow(self, cluster: Cluster, dependency: str) -> str:
        """Submit the small job behind a round's, and return its id; "" where it may not submit."""
        # In the container image there is no sbatch.
        if not cluster.limits.submit_from_jobs or cluster.container:
            return ""
        token = secrets.token_hex(4)
        job = BatchJob(
            cluster=small(cluster),
            stage=DIAGRAMS,
            name=f"series-{token}",
            size=1,
            folder=self.root.absolute() / "jobs" / f"series-{token}",
            root=self.root.absolute(),
            threads=1,
            dependency=dependency,
        )
        return sbatch.submit_call(job, go_on, str(self.root.absolute()), self.cluster)


def _goes_on(follower: str) -> str:
    return f"job {follower} goes on by itself" if follower else "nothing goes on by itself"


def going_jobs(queue: Queue) -> list[str]:
    """Return the ids of jobs that run or will: not of those that wait for others, perhaps for ever.

    Where only such are left, what they wait for has failed.
    """
    waits = (NEVER, "Dependency")
    active = {one.job for one in queue.values() if one.is_active and one.reason not in waits}
    return sorted(active - {""})


def after(jobs: Sequence[str]) -> str:
    """Return the dependency of a job that begins when jobs are over."""
    return "afterany:" + ":".join(jobs)


def behind(round_jobs: Sequence[ArrayJob]) -> str:
    """Return the dependency of a job that begins when others are over, or one of them failed.

    Either alone would wait for ever: for a job that waits for one that failed, or for a failure.
    """
    # In the order of submission a merge is last.
    *others, last = [one.job_id for one in round_jobs]
    return "?".join([after([last]), *(f"afternotok:{job}" for job in others)])


def small(cluster: Cluster) -> Cluster:
    """Return a profile whose diagrams' jobs are small: where merges run, one task on one core."""
    merge = cluster.stage(MERGE).model_dump(exclude_unset=True)
    own = {name: value for name, value in merge.items() if name in StageResources.model_fields}
    resources = ShardResources.model_validate({**own, "nodes": 1, "gpus": 0, "cpus": 1})
    stages = cluster.stages.model_copy(update={DIAGRAMS: resources})
    return cluster.model_copy(update={"stages": stages})


def go_on(root: str, cluster: str) -> None:
    """Do what the small job does: go on with a series, and write down why where that is over."""
    place = Path(root)
    try:
        plan = read_plan(place)
        jobs = RoundsByJobs(place, cluster, is_by_hand=False)
        advance(place, plan, request_for(cluster), tell=print, complete=jobs.complete)
    except Waiting as waiting:
        print(waiting)
    except PanicError as error:
        print(f"panic-hpc: {error}", file=sys.stderr)
        numbers = sorted(place.glob("rounds/*.try-*.json"))
        number = int(numbers[-1].name[:3]) if numbers else 0
        replace_file(place / "stopped.json", to_json(asdict(Stopped(number, str(error)))))


def forget_stop(root: Path) -> None:
    """Take back that jobs have stopped: somebody goes on."""
    remove(root / "stopped.json")


def stop_of(root: Path) -> Stopped | None:
    """Return why jobs have stopped, None where they have not."""
    try:
        return read_record(Stopped, root / "stopped.json")
    except AbsentError:
        return None


def last_cluster(root: Path) -> str:
    """Return the cluster that a round was last submitted to, "" for none."""
    files = sorted(root.glob("rounds/*.try-*.json"))
    return read_record(RoundTry, files[-1]).cluster if files else ""


def tries_of(paths: GenerationPaths) -> list[RoundTry]:
    """Return the submissions of a round since a person last asked for one, that one among them."""
    found: list[RoundTry] = []
    for number in range(1, _n_files(paths) + 1):
        one = read_record(RoundTry, paths.attempt(number))
        found = [one] if one.is_by_hand else [*found, one]
    return found


def _n_files(paths: GenerationPaths) -> int:
    number = 0
    while paths.attempt(number + 1).exists():
        number += 1
    return number
