"""What was asked for and what was used, by stage: from the workers' own words, and sacct's."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from panic_hpc.backends.slurm.commands import answer_of
from panic_hpc.errors import LaunchError
from panic_hpc.models.device.energy import J_PER_WH
from panic_hpc.workspace.ledger import ArrayJob
from panic_hpc.workspace.logs import array_tasks
from panic_hpc.workspace.workspace import Workspace

ENDS = ("completed", "failed", "stopped", "elsewhere")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Usage:
    """One stage's use; hours are wall-clock hours of its tasks, memory is the largest seen.

    What was asked for is each job's walltime for each of its tasks, once however often it was
    requeued. `slurm_hours` and `slurm_peak_gb` are sacct's word, None where it gives none.
    `gpu_wh` is the energy of GPUs in all attempts, by NVML, a card's split among the workers that
    share it; `co2_g` what that means by the profile's grid; None where nothing tells.
    """

    stage: str
    shards: int = 0
    hours: float = 0.0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    peak_gb: float = 0.0
    asked_hours: float = 0.0
    asked_gpu_hours: float = 0.0
    asked_gb: float = 0.0
    slurm_hours: float | None = None
    slurm_peak_gb: float | None = None
    gpu_wh: float | None = None
    co2_g: float | None = None


def usage(workspace: Workspace) -> list[Usage]:
    """Return the use of every stage that has begun, with one question to sacct where jobs ran."""
    found: dict[str, Usage] = {}
    ids: dict[str, set[str]] = defaultdict(set)
    for job, events in array_tasks(workspace):
        found[job.stage] = _added(found.get(job.stage, Usage(job.stage)), job, events)
        ids[job.stage] |= {job.job_id} - {""}
    words = _accounts(sorted(set().union(*ids.values())) if ids else [])
    return [_with_accounts(found[stage], ids[stage], words) for stage in found]


def _added(sum_: Usage, job: ArrayJob, events: Iterable[Mapping[str, Any]]) -> Usage:
    ends = [event for event in events if event["event"] in ENDS and "seconds" in event]
    seconds = sum(event["seconds"] for event in ends)
    asked_hours = (job.options.get("walltime_min") or 0) / 60 * job.options.get("tasks", 1)
    gpus = job.options.get("gpus", 0)
    return replace(
        _with_energy(sum_, job, ends),
        shards=sum_.shards + sum(event["event"] == "completed" for event in ends),
        hours=sum_.hours + seconds / 3600,
        cpu_hours=sum_.cpu_hours + sum(event["cpu_seconds"] for event in ends) / 3600,
        gpu_hours=sum_.gpu_hours + seconds / 3600 * gpus,
        peak_gb=max([sum_.peak_gb, *(event["peak_gb"] for event in ends)]),
        asked_hours=sum_.asked_hours + asked_hours,
        asked_gpu_hours=sum_.asked_gpu_hours + asked_hours * gpus,
        asked_gb=max(sum_.asked_gb, job.options.get("mem_gb") or 0.0),
    )


def _with_energy(sum_: Usage, job: ArrayJob, ends: Iterable[Mapping[str, Any]]) -> Usage:
    """Return the sums with the energy of an array task, and its CO2, where anything tells."""
    told = [event["joules"] for event in ends if "joules" in event]
    if not told:
        return sum_
    watt_hours = sum(told) / J_PER_WH / job.options.get("workers_per_gpu", 1)
    grid = job.options.get("grid_g_per_kwh")
    co2 = sum_.co2_g if grid is None else (sum_.co2_g or 0.0) + watt_hours / 1000 * grid
    return replace(sum_, gpu_wh=(sum_.gpu_wh or 0.0) + watt_hours, co2_g=co2)


def _accounts(ids: Sequence[str]) -> str:
    """Return sacct's answer for these jobs, "" where there is no accounting."""
    if not ids:
        return ""
    # No -X: sacct has times in the rows of jobs, but memory in those of their steps.
    columns = "--format=JobID,ElapsedRaw,MaxRSS"
    try:
        return answer_of("sacct", "--noheader", "--parsable2", columns, "--jobs=" + ",".join(ids))
    except LaunchError:
        return ""


def _with_accounts(stage: Usage, ids: set[str], told: str) -> Usage:
    lines = [line.split("|") for line in told.splitlines() if line.count("|") == 2]
    own = [line for line in lines if re.split(r"[_.]", line[0])[0] in ids]
    if not own:
        return stage
    # A dot is a step, whose time is in its job's already.
    hours = sum(int(elapsed or 0) for job, elapsed, _ in own if "." not in job) / 3600
    peaks = [parse_memory(memory) for _, _, memory in own]
    return replace(stage, slurm_hours=hours, slurm_peak_gb=max(peaks) / 2**30)


def parse_memory(text: str) -> float:
    """Return the bytes that sacct means by `123456K`; 0 where it says nothing."""
    match = re.fullmatch(r"([\d.]+)([KMGT]?)", text.strip())
    return float(match[1]) * UNITS[match[2]] if match else 0.0
