"""`panic-hpc plan`: from an experiment file to shards and their manifest."""

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

PANEL = ("The main job", 1)

SHOWN_NETWORKS = 20


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(plan)


def plan(
    file: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT", help="A TOML file, or upstream's JSON.")
    ],
    directory: Annotated[
        Path | None, typer.Argument(metavar="EXP", help="Where to; default: the file's name.")
    ] = None,
    runs_per_shard: Annotated[
        int | None, typer.Option(min=1, help="Runs in a shard, rounded up to whole blocks.")
    ] = None,
    target_minutes: Annotated[
        float | None, typer.Option(min=0.001, help="Length of a shard by cost estimate; else 60.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="A file of models, in place of the experiment's own.")
    ] = None,
    allow_remote_code: Annotated[
        bool, typer.Option("--allow-remote-code", help="Let models run code of their repositories.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    as_json: Json = False,
) -> None:
    """Expand an experiment into shards and write its manifest, once.

    Planning the same experiment again changes nothing; another one in its place is refused.
    """
    from panic_hpc import api
    from panic_hpc.cli.console.output import err, say_json
    from panic_hpc.paths import ExperimentPaths

    paths = ExperimentPaths(directory or Path(file.stem))
    extra: dict[str, Any] = {"models_file": models, "allow_remote_code": allow_remote_code}
    # Before planning: afterwards it is there in any case.
    existed = paths.manifest.exists()
    with err.status("Planning …"):
        function = api.preview if dry_run else _plan
        manifest = function(
            file,
            paths.root,
            runs_per_shard=runs_per_shard,
            target_minutes=target_minutes,
            **extra,
        )
        summary = summary_of(manifest)
    summary |= {"directory": str(paths.root), "written": not (existed or dry_run)}
    if as_json:
        return say_json(summary)
    print_summary(summary, manifest)
    return _print_outcome(summary, existed, dry_run)


def _plan(file: Path, directory: Path, **layout: Any) -> "Manifest":
    from panic_hpc import api

    return api.plan(file, directory, **layout).manifest


def summary_of(manifest: "Manifest") -> dict[str, Any]:
    """Return what will happen, as a JSON value."""
    from panic_hpc.models.checks.records import unchecked
    from panic_hpc.models.hub.cache import cache_directory, missing
    from panic_hpc.planning.availability import missing_libraries, obstacles
    from panic_hpc.stages.base import installed_stages

    return {
        "key": manifest.key,
        "name": manifest.experiment.name,
        "runs": manifest.n_runs,
        "invocations": manifest.n_invocations,
        "pictures": _pictures(manifest),
        "networks": [
            {
                "models": [model.name for model in network.models],
                "noise": " and ".join(manifest.noises(network)),
                "runs": network.n_runs,
                "block": network.block,
                "runs_per_shard": network.runs_per_shard,
            }
            for network in manifest.networks
        ],
        "stages": {
            name: _stage_summary(stage, manifest) for name, stage in installed_stages().items()
        },
        "cannot_be_submitted": obstacles(manifest),
        "to_fetch": [spec.name for spec in missing(manifest.specs, cache_directory())],
        "unchecked": unchecked(manifest.specs, cache_directory()),
        "not_installed_here": missing_libraries(manifest, cache_directory()),
    }


def _pictures(manifest: "Manifest") -> dict[str, int]:
    """Return how many prompts have a picture of each role."""
    return dict(Counter(role for prompt in manifest.prompts for role, _ in prompt.pictures))


def _stage_summary(stage: Any, manifest: "Manifest") -> dict[str, float]:
    estimate = stage.estimate(manifest)
    return {
        "shards": len(stage.shards(manifest)),
        "gpu_hours": estimate.gpu_seconds / 3600,
        "cpu_hours": estimate.cpu_seconds / 3600,
        "bytes": estimate.nbytes,
    }


def print_summary(summary: Mapping[str, Any], manifest: "Manifest") -> None:
    """Print what will happen."""
    from panic_hpc.cli.console.output import say
    from panic_hpc.plain_text import counted

    parts = (manifest.networks, "network"), (manifest.prompts, "prompt"), (manifest.seeds, "seed")
    counts = ", ".join(counted(len(things), noun) for things, noun in parts)
    say(f"{counted(summary['runs'], 'run')} of {manifest.experiment.max_length:,} steps: {counts}")
    if pictures := summary["pictures"]:
        roles = ", ".join(f"{number:,} {role}" for role, number in sorted(pictures.items()))
        texts = sum(bool(prompt.text) for prompt in manifest.prompts)
        say(f"prompts have pictures: {roles}; {texts:,} of them a text")
    may_loop = any("fixed" in manifest.noises(network) for network in manifest.networks)
    stops = manifest.experiment.loop_stop and may_loop
    fewer = ", fewer where runs stop on a loop" if stops else ""
    say(f"{summary['invocations']:,} invocations{fewer}")
    for network in summary["networks"][:SHOWN_NETWORKS]:
        models = " → ".join(network["models"])
        say(f"  {models} ({network['noise']} noise): {network['runs_per_shard']:,} runs a shard")
    if (left := len(summary["networks"]) - SHOWN_NETWORKS) > 0:
        say(f"  … and {counted(left, 'network')} more (--json has them all)")
    _print_stages(summary["stages"])


def _print_stages(stages: Mapping[str, Mapping[str, float]]) -> None:
    from rich.table import Table

    from panic_hpc.cli.console.output import out

    table = Table("stage", "shards", "GPU-hours", "CPU-hours", "size", box=None)
    # A stage that this experiment has no work for is no news.
    for name, row in stages.items():
        if not row["shards"]:
            continue
        table.add_row(name, f"{row['shards']:,}", *_amounts(row))
    totals = {key: sum(row[key] for row in stages.values()) for key in _AMOUNTS}
    table.add_row("estimated in all", "", *_amounts(totals))
    out.print(table)


_AMOUNTS = ("gpu_hours", "cpu_hours", "bytes")


def _amounts(row: Mapping[str, float]) -> tuple[str, ...]:
    from panic_hpc.plain_text import size

    return _hours(row["gpu_hours"]), _hours(row["cpu_hours"]), size(row["bytes"])


def _hours(hours: float) -> str:
    if 0 < hours < 0.001:
        return "< 0.001"
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"


def _print_outcome(summary: Mapping[str, Any], existed: bool, dry_run: bool) -> None:
    from panic_hpc.cli.console.output import say, warn

    directory = summary["directory"]
    if dry_run:
        say(f"Nothing was written (--dry-run); the manifest's key would be {summary['key']}")
    else:
        say(f"{directory} {'is unchanged' if existed else 'planned'}, key {summary['key']}")
    refusals = summary["cannot_be_submitted"]
    if refusals:
        warn(f"Planned, but it cannot be submitted: {'; '.join(refusals)}")
    for name, libraries in summary["not_installed_here"].items():
        warn(f"{name} needs {' and '.join(libraries)}, not installed here: see where jobs run")
    if refusals or dry_run:
        return
    place = shlex.quote(directory)
    if summary["to_fetch"]:
        say(f"{', '.join(summary['to_fetch'])}: not in the cache here")
        say(f"Next: panic-hpc models fetch {place} (with --cluster NAME for a cluster's cache)")
        return
    if summary["unchecked"]:
        say(f"{', '.join(summary['unchecked'])}: checked on no machine yet")
        say(f"Perhaps first: panic-hpc models check {place}")
    say(f"Next: panic-hpc submit {place}")
