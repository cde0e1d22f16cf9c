"""`clusters check`: what of a profile holds on this login node, asked before anything is queued."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from panic_hpc.backends.slurm.commands import ask, parse_config, read_limits, sbatch_verdict
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.container.sif import check_image
from panic_hpc.disk.directories import require_writable
from panic_hpc.errors import PanicError
from panic_hpc.stages.base import installed_stages

GIB = 1 << 30
LOW_SPACE = 20 * GIB
LOW_FILES = 10_000


@dataclass(frozen=True, slots=True)
class SiteFinding:
    """One answer: `ok`, a `warning`, or an `error` that will stop jobs."""

    subject: str
    verdict: Literal["ok", "warning", "error"]
    text: str


def check_site(cluster: Cluster) -> Iterator[SiteFinding]:
    """Yield what holds of `cluster`, resolved, on this machine; nothing is queued."""
    if cluster.scheduler == "slurm":
        yield from _scheduler(cluster)
    for subject, directory in (("scratch", cluster.paths.scratch), ("cache", cluster.paths.cache)):
        yield from _directory(subject, directory)
    yield from _container(cluster)


def _scheduler(cluster: Cluster) -> Iterator[SiteFinding]:
    try:
        limits = read_limits(cluster.limits)
        # %R and not %P, which marks the default partition with a star.
        partitions = set(ask("sinfo", "-h", "-o", "%R").out.split())
    except PanicError as error:
        yield SiteFinding("slurm", "error", str(error))
        return
    text = f"version {limits.version}, arrays of at most {limits.max_array_size} tasks"
    yield SiteFinding("slurm", "ok", text)
    for stage in installed_stages():
        yield _partition(cluster, stage, partitions)
        yield _test_only(cluster, stage)
    yield _accounting(limits.accounting)
    yield _requeue(cluster)
    yield from _mpi(cluster)


def _partition(cluster: Cluster, stage: str, partitions: set[str]) -> SiteFinding:
    wanted = cluster.stage(stage).partition
    absent = sorted(set((wanted or "").split(",")) - partitions - {""})
    if absent:
        known = ", ".join(sorted(partitions))
        text = f"there is no partition {', '.join(absent)} here; there are {known}"
        return SiteFinding(f"{stage} partition", "error", text)
    return SiteFinding(f"{stage} partition", "ok", wanted or "the site's default")


def _test_only(cluster: Cluster, stage: str) -> SiteFinding:
    would_start, words = sbatch_verdict("#!/bin/sh\n", *option_words(cluster, stage))
    return SiteFinding(f"{stage} sbatch", "ok" if would_start else "error", words)


def option_words(cluster: Cluster, stage: str) -> tuple[str, ...]:
    """Return a stage's resources as words of sbatch's command line. Pure."""
    options = cluster.sbatch_options(stage)
    requeue = ("--requeue",) if cluster.limits.requeue else ()
    words = (
        f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()
    )
    return (*requeue, *words)


def _accounting(expected: bool) -> SiteFinding:
    if not expected:
        return SiteFinding(
            "sacct", "warning", "no accounting here: usage comes from our own records"
        )
    # Whether it answers at all; an empty span is no burden on its database.
    answer = ask("sacct", "-n", "-X", "-S", "now")
    if answer.code:
        return SiteFinding("sacct", "warning", answer.problem)
    return SiteFinding("sacct", "ok", "answers")


def _requeue(cluster: Cluster) -> SiteFinding:
    if not cluster.limits.requeue:
        text = "the profile says no: a shard cut off by its walltime is submitted again by hand"
        return SiteFinding("requeue", "warning", text)
    default = parse_config(ask("scontrol", "show", "config").out).get("JobRequeue")
    return SiteFinding(
        "requeue", "ok", f"asked for with --requeue (the site's JobRequeue is {default})"
    )


def _mpi(cluster: Cluster) -> Iterator[SiteFinding]:
    if cluster.mpi.launcher != "srun":
        return
    answer = ask("srun", "--mpi=list")
    # Versions of srun differ in which of the two they print the list to.
    known = set(re.findall(r"[\w./-]+", answer.out + answer.err))
    verdict: Literal["ok", "error"] = "ok" if cluster.mpi.plugin in known else "error"
    yield SiteFinding("mpi", verdict, f"srun --mpi={cluster.mpi.plugin}")


def _directory(subject: str, path: str | None) -> Iterator[SiteFinding]:
    if path is None:
        yield SiteFinding(subject, "warning", f"the profile has no paths.{subject}")
        return
    directory = Path(path)
    existing = next(part for part in (directory, *directory.parents) if part.exists())
    try:
        require_writable(existing)
    except OSError as error:
        yield SiteFinding(subject, "error", f"{path} cannot be written to: {error.strerror}")
        return
    yield SiteFinding(subject, "ok", f"{path} is writable")
    yield from _off_home(subject, existing)
    yield from _space(subject, existing)


def _off_home(subject: str, directory: Path) -> Iterator[SiteFinding]:
    home = Path.home().resolve()
    if directory.resolve().is_relative_to(home):
        text = (
            f"{directory} lies in the home directory, whose quota is small and whose disk is slow"
        )
        yield SiteFinding(subject, "warning", text)


def _space(subject: str, directory: Path) -> Iterator[SiteFinding]:
    disk = os.statvfs(directory)
    free, files = disk.f_bavail * disk.f_frsize, disk.f_favail
    # Some file systems count no files and say 0. Neither figure knows of a user's quota.
    low = free < LOW_SPACE or (disk.f_files > 0 and files < LOW_FILES)
    count = f", {files:,} files" if disk.f_files else ""
    yield SiteFinding(subject, "warning" if low else "ok", f"{free / GIB:,.0f} GiB{count} free")
    yield from _quota(subject, directory)


def _quota(subject: str, directory: Path) -> Iterator[SiteFinding]:
    """Yield what the quota tools of the site say, where there are any; they all differ."""
    tools = {"lfs": ("lfs", "quota", "-h", str(directory)), "quota": ("quota", "-s")}
    for name, command in tools.items():
        if shutil.which(name) is None:
            continue
        said = " ".join(ask(*command).out.split())
        if said:
            yield SiteFinding(f"{subject} quota", "ok", said)
            return


def _container(cluster: Cluster) -> Iterator[SiteFinding]:
    container = cluster.container
    if container is None:
        return
    # No error: a site may have the runtime on its compute nodes alone.
    if shutil.which(container.runtime) is None:
        text = f"there is no {container.runtime} on this login node; jobs need it on theirs"
        yield SiteFinding("container", "warning", text)
    missing = [bind for bind in container.binds if not Path(bind.partition(":")[0]).exists()]
    for bind in missing:
        yield SiteFinding("container", "error", f"{bind}, which is to be bound, does not exist")
    if container.image is None:
        yield SiteFinding("container", "warning", "the profile names no image: give --image")
        return
    try:
        facts = check_image(Path(container.image))
    except PanicError as error:
        yield SiteFinding("container", "error", str(error))
    else:
        yield SiteFinding("container", "ok", f"{container.image} ({facts.architecture})")
