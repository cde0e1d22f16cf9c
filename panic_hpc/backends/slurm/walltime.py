"""Whether shards fit into a profile's walltimes, by the plan's estimates. Pure.

An estimate is rough, so what nearly fits is a warning. A shard that needs several walltimes is one
too where its stage goes on from a checkpoint and the host requeues it; it is refused where nothing
would bring it to its end by itself.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.clusters.resources import StageResources
from panic_hpc.errors import LaunchError
from panic_hpc.planning.manifest import Manifest, laid_out_again
from panic_hpc.planning.networks import longest_shard_minutes
from panic_hpc.planning.plan import PlanOptions
from panic_hpc.stages.base import Estimate, Stage
from panic_hpc.worker.stopper import MARGIN_S, RESERVE_S

FIT = 0.8
"""The share of its walltime that a shard should be estimated at, at most."""
TRIES = 5
MIN_TARGET_MINUTES = 0.001


@dataclass(frozen=True, slots=True)
class WalltimeProblem:
    """What is wrong with a stage's walltime, what to do about it, and whether it stops the work."""

    message: str
    hint: str
    is_refused: bool


def refuse_short_walltimes(problems: Iterable[WalltimeProblem]) -> None:
    """Raise LaunchError with all problems under which a shard would not come to its end."""
    refused = [problem for problem in problems if problem.is_refused]
    if refused:
        raise LaunchError(
            "; ".join(problem.message for problem in refused),
            hint=f"{refused[0].hint}; --allow-short-walltime submits them as they are",
        )


def walltime_problem(
    stage: Stage, manifest: Manifest, cluster: Cluster, *, allow_short: bool = False
) -> WalltimeProblem | None:
    """Return why shards of `stage` do not fit, or hardly, into their walltime; None if they do."""
    resources = cluster.stage(stage.name)
    if resources.walltime_min is None:
        return None
    usable_s = resources.walltime_min * 60 - RESERVE_S - MARGIN_S
    needed_s = shard_seconds(stage.longest_shard(manifest), stage, resources)
    if needed_s <= FIT * usable_s:
        return None
    n_walltimes = math.ceil(needed_s / max(usable_s, 1.0))
    goes_on = stage.resumes and cluster.limits.requeue
    takes = f"{stage.name}: a shard takes about {_minutes(needed_s)}"
    return WalltimeProblem(
        message=f"{takes}, the walltime is {resources.walltime_min} min"
        + _consequence(n_walltimes, stage, goes_on=goes_on),
        hint=_hint(stage, manifest, resources, needed_s, usable_s),
        is_refused=n_walltimes > 1 and not goes_on and not allow_short,
    )


def shard_seconds(estimate: Estimate, stage: Stage, resources: StageResources) -> float:
    """Return how long work takes in one task, or with all ranks, of a job with these resources."""
    n_cores = resources.tasks if stage.launch == "ranks" else resources.cpus or 1
    return estimate.gpu_seconds + estimate.cpu_seconds / n_cores


def _consequence(n_walltimes: int, stage: Stage, *, goes_on: bool) -> str:
    if n_walltimes == 1:
        return ", which is tight"
    if goes_on:
        times = "once" if n_walltimes == 2 else f"{n_walltimes - 1} times"
        return f": each job is requeued about {times}"
    if stage.resumes:
        return f" and jobs are not requeued: it takes {n_walltimes} submissions"
    return ", and it cannot go on from where it was stopped"


def _hint(
    stage: Stage,
    manifest: Manifest,
    resources: StageResources,
    needed_s: float,
    usable_s: float,
) -> str:
    minutes = math.ceil((needed_s / FIT + RESERVE_S + MARGIN_S) / 60)
    longer = f"set stages.{stage.name}.walltime_min to {minutes}"
    target = fitting_target_minutes(stage, manifest, resources, FIT * usable_s)
    if target is None:
        return longer[0].upper() + longer[1:]
    return f"Plan it in a new directory with --target-minutes {target:g}, or {longer}"


def fitting_target_minutes(
    stage: Stage, manifest: Manifest, resources: StageResources, limit_s: float
) -> float | None:
    """Return the `plan --target-minutes` under which shards take at most `limit_s`.

    None where no layout does: a single block takes longer, or the stage's shards do not follow
    those of the runs.
    """
    planned = manifest
    for _ in range(TRIES):
        needed_s = shard_seconds(stage.longest_shard(planned), stage, resources)
        # From what the runs' shards really take now, which may be less than their target.
        minutes = longest_shard_minutes(planned.networks, planned.seconds)
        target = _rounded_down(minutes * limit_s / needed_s)
        if target < MIN_TARGET_MINUTES:
            return None
        planned = laid_out_again(manifest, PlanOptions(target_minutes=target))
        if shard_seconds(stage.longest_shard(planned), stage, resources) <= limit_s:
            return target
    return None


def _rounded_down(minutes: float) -> float:
    """Return two significant digits: the estimate has no more."""
    digits = 1 - math.floor(math.log10(minutes)) if minutes > 0 else 0
    factor: float = 10.0**digits
    return math.floor(minutes * factor) / factor


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
