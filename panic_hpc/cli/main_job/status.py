"""`panic-hpc status`: what is done, what is running, what is in the way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc import clock
from panic_hpc.cli.console.options import Json, Root
from panic_hpc.cli.console.output import say, say_json, warn
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from panic_hpc.backends.slurm.usage import Usage
    from panic_hpc.workspace.rate import Rate
    from panic_hpc.workspace.status import ShardStatus, Status
    from panic_hpc.workspace.workspace import Workspace

PANEL = ("The main job", 3)

WATCH_S = 10.0
SHOWN = 20
NOT_REPEATABLE = "recorded, not repeatable: a server answers for it"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(status)


def status(
    experiment: Root = Path("."),
    as_json: Json = False,
    why: Annotated[
        str, typer.Option(metavar="SHARD", help="Explain why a shard (runs_00042) is not done.")
    ] = "",
    show_usage: Annotated[
        bool, typer.Option("--usage", help="What was asked for and what was used.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 10 s.")] = False,
) -> None:
    """Show what is completed, submitted, eligible, waiting, failed and lost."""
    from panic_hpc.backends.status_query import query_status
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    if show_usage:
        return _show_usage(workspace, as_json=as_json)
    while True:
        snapshot = query_status(workspace)
        found = snapshot.status
        if snapshot.scheduler_error:
            warn(f"The scheduler gave no answer: {snapshot.scheduler_error}")
        if why:
            return _explain(workspace, found, why)
        _show(workspace, found, as_json=as_json)
        if not watch or found.is_complete:
            return None
        # Every look asks the scheduler once; sites complain of clients that ask each second.
        clock.sleep(WATCH_S)
        say(f"\n{clock.utc().astimezone():%H:%M:%S}")


def _show(workspace: "Workspace", status: "Status", *, as_json: bool) -> None:
    from panic_hpc.worker.stopper import halt_reason
    from panic_hpc.workspace.rate import rates

    if as_json:
        return say_json(to_json(workspace, status))
    _say_rows(_table(status, rates(workspace, status)))
    for one in _worth_telling(status):
        progress = f" {one.done}/{one.total}" if one.total else ""
        say(f"{one.name}  {one.state}{progress}  {one.detail}")
        if one.hint:
            warn(f"    {one.hint}")
    for line in _pending(status):
        say(line)
    for name in workspace.manifest.not_repeatable:
        say(f"{name}: {NOT_REPEATABLE}")
    if reason := halt_reason(workspace.paths.halt, clock.now()):
        warn(f"{reason}: workers leave at once until `submit` or `retry` withdraws that")
    say(_next_line(status))
    return None


def _table(status: "Status", measured: Mapping[str, "Rate"]) -> list[list[str]]:
    from panic_hpc.workspace.status import STATES

    rows = [["stage", *STATES, "done", "left"]]
    for stage, shards in status.stages.items():
        if not shards:
            continue
        counts = status.counts(stage)
        share = sum(one.fraction for one in shards) / len(shards)
        numbers = [str(counts[state] or "-") for state in STATES]
        rows.append([stage, *numbers, f"{share:.0%}", _left(measured.get(stage))])
    return rows


def _say_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print a table that is never cut to the width of a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _left(measured: "Rate | None") -> str:
    if measured is None:
        return ""
    return f"{measured.hours_left:.1f} h at {measured.per_hour:.0f}/h"


def _show_usage(workspace: "Workspace", *, as_json: bool) -> None:
    from panic_hpc.backends.slurm.usage import usage

    rows = usage(workspace)
    if as_json:
        return say_json([asdict(row) for row in rows])
    # Each "asked" belongs to the column before it; with both names in full, 80 columns are too few.
    header = ["stage", "shards", "time", "asked", "GPU time", "asked", "CPU time", "GB", "asked"]
    _say_rows([header, *map(_own_cells, rows)])
    accounted = [row for row in rows if row.slurm_hours is not None]
    if accounted:
        say("")
        _say_rows([["sacct says", "time", "GB"], *map(_accounted_cells, accounted)])
    if any(row.gpu_wh is not None for row in rows):
        say("")
        measured = [row for row in rows if row.gpu_wh is not None]
        _say_rows([["GPUs by NVML", "Wh", "g CO2e"], *map(_energy_cells, measured)])
    return None


def _energy_cells(row: "Usage") -> list[str]:
    co2 = "-" if row.co2_g is None else f"{row.co2_g:,.1f}"
    return [row.stage, f"{row.gpu_wh or 0.0:,.2f}", co2]


def _own_cells(row: "Usage") -> list[str]:
    times = (row.hours, row.asked_hours, row.gpu_hours, row.asked_gpu_hours, row.cpu_hours)
    return [
        row.stage,
        str(row.shards),
        *map(_clock, times),
        f"{row.peak_gb:.2f}",
        f"{row.asked_gb:.2f}" if row.asked_gb else "-",
    ]


def _accounted_cells(row: "Usage") -> list[str]:
    return [row.stage, _clock(row.slurm_hours or 0.0), f"{row.slurm_peak_gb or 0.0:.2f}"]


def _clock(hours: float) -> str:
    seconds = round(hours * 3600)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if hours else "-"


def _worth_telling(status: "Status") -> Sequence["ShardStatus"]:
    """Return the shards a person would ask about: failed, lost, not whole, then the running."""
    bad = [one for one in status.all() if one.state in ("failed", "lost") or one.hint]
    partial = [one for one in status.all() if one.state == "completed" and one.detail]
    running = [one for one in status.all() if one.running and one not in bad]
    return bad[:SHOWN] + partial[:SHOWN] + running[:SHOWN]


def _pending(status: "Status") -> list[str]:
    """Return why jobs that do not run yet do not, a line a stage and reason."""
    waiting = [one for one in status.all() if one.state == "submitted" and not one.running]
    counts = Counter((one.shard.stage, one.detail) for one in waiting)
    return [f"{stage}: {number} {detail}" for (stage, detail), number in counts.items()]


def _next_line(status: "Status") -> str:
    counts = [status.counts(stage) for stage in status.stages]
    total = {name: sum(count[name] for count in counts) for name in ("failed", "lost", "submitted")}
    if status.is_complete:
        return "Everything is completed."
    if total["submitted"]:
        return f"{counted(total['submitted'], 'shard')} submitted; look again later, or --watch."
    if total["failed"] or total["lost"]:
        return "Type `panic-hpc retry` to try failed and lost shards again."
    return "Type `panic-hpc submit` to go on."


def to_json(workspace: "Workspace", status: "Status") -> dict[str, Any]:
    """Return the status as one JSON value: counts a stage, and every shard that is not idle."""
    return {
        "experiment": str(workspace.paths.root),
        "manifest": workspace.manifest.key,
        "complete": status.is_complete,
        "not_repeatable": list(workspace.manifest.not_repeatable),
        "stages": {stage: dict(status.counts(stage)) for stage in status.stages},
        "shards": [
            _shard_json(one)
            for one in status.all()
            if one.state not in ("completed", "waiting")
            or (one.state == "completed" and one.detail)
        ],
    }


def _shard_json(shard: "ShardStatus") -> dict[str, Any]:
    return {
        "shard": shard.name,
        "state": shard.state,
        "detail": shard.detail,
        "job": shard.job,
        "running": shard.running,
        "done": shard.done,
        "total": shard.total,
    }


def _explain(workspace: "Workspace", status: "Status", name: str) -> None:
    from panic_hpc.backends.status_query import explain, parse_shard

    one = status.of(parse_shard(workspace, name))
    say(f"{one.name} is {one.state}" + (f": {one.detail}" if one.detail else ""))
    for line in explain(workspace, one):
        say(f"  {line}")
