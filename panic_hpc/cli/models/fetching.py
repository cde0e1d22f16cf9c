"""`panic-hpc models lock` and `fetch`: commits written down, files brought to where jobs look."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.models.hub.fetching import Fetch
    from panic_hpc.models.hub.lock import LockedModel
    from panic_hpc.planning.locking import Lockable

Experiment = Annotated[
    Path, typer.Argument(metavar="EXP", help="An experiment's file, or its directory.")
]


def lock_models(
    experiment: Experiment,
    update: Annotated[
        bool, typer.Option("--update", help="Ask anew for what has no commit of its own.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write down the commits of an experiment's models, and their files by digest.

    The lock lies beside the file, or in the directory; `plan` reads it. A planned experiment is not
    changed by it, but for commits that its plan was made without.
    """
    from panic_hpc.cli.console.output import say, say_json
    from panic_hpc.planning.locking import lockable

    target = lockable(experiment, update)
    locked = _locked(target)
    if as_json:
        models = {name: _described(model) for name, model in locked.items()}
        return say_json({"lock": str(target.lock), "models": models})
    _print_locked(locked)
    return say(f"{len(locked)} models of a hub are locked in {target.lock}")


def fetch_models(
    experiment: Experiment,
    cluster: Annotated[str, typer.Option(help="Into the cache that its jobs read.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to bring.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the models of an experiment into the cache, at the commits that are locked.

    For a login node that reaches the hub: workers do not. Says the sizes first, brings only what is
    read, and goes on where an earlier one stopped. Built-in models and folders need nothing.
    """
    from panic_hpc.cli.console.output import say, say_json
    from panic_hpc.models.hub import cache as hub_cache
    from panic_hpc.models.hub.fetching import require_cache_space
    from panic_hpc.planning.locking import lockable

    cache = cache_of(cluster)
    target = lockable(experiment)
    # Asked first, so that nothing of the hub's client is imported where all is there.
    if not hub_cache.missing(target.specs, cache):
        there = [spec.name for spec in target.specs]
        if as_json:
            return say_json({"cache": str(cache), "fetched": [], "there": there})
        return say(f"{len(there)} models of a hub are in {cache} already")
    fetches = _planned(target, cache)
    if not as_json:
        _print_fetches(fetches, cache)
    require_cache_space(fetches, cache)
    if not dry_run:
        _bring(fetches, cache)
    if as_json:
        return say_json({"cache": str(cache), **_summary(fetches, dry_run)})
    if dry_run:
        return say("Nothing was brought (--dry-run)")
    return say(f"{len(fetches)} models of a hub are in {cache}")


def cache_of(cluster: str) -> Path:
    """Return the cache of models that a cluster's jobs read, "" for this machine's own."""
    from panic_hpc.backends.slurm.job_environment import model_cache
    from panic_hpc.clusters.profiles import load_cluster, resolved
    from panic_hpc.models.hub.cache import cache_directory

    return model_cache(resolved(load_cluster(cluster))) if cluster else cache_directory()


def _locked(target: "Lockable") -> "dict[str, LockedModel]":
    from panic_hpc.cli.console.output import err
    from panic_hpc.planning.locking import lock_models

    with err.status("Asking the hub …") as status:
        return lock_models(target, lambda name: status.update(f"Asking the hub for {name} …"))


def _planned(target: "Lockable", cache: Path) -> "list[Fetch]":
    from panic_hpc.models.hub.fetching import plan_fetch
    from panic_hpc.planning.locking import settled

    locked = _locked(target)
    return [plan_fetch(settled(spec, locked), locked[spec.name], cache) for spec in target.specs]


def _bring(fetches: "Sequence[Fetch]", cache: Path) -> None:
    from panic_hpc.cli.console.byte_bar import byte_bar
    from panic_hpc.models.hub.client import quiet
    from panic_hpc.models.hub.fetching import bring

    quiet(not sys.stderr.isatty())
    for fetch in fetches:
        with byte_bar(f"{fetch.spec.name}: checking digests") as report:
            bring(fetch, cache, report)


def _print_locked(locked: "Mapping[str, LockedModel]") -> None:
    from rich.table import Table

    from panic_hpc.cli.console.output import literal, out

    table = Table("model", "repository", "commit", "gated", "licence", box=None, pad_edge=False)
    for name, model in locked.items():
        gated = "yes" if model.gated else "no"
        cells = (name, model.repository, model.revision[:10], gated, model.licence or "none named")
        table.add_row(*map(literal, cells))
    if locked:
        out.print(table)


def _print_fetches(fetches: "Sequence[Fetch]", cache: Path) -> None:
    from panic_hpc.cli.console.output import say
    from panic_hpc.plain_text import size

    for one in fetches:
        absent = f"{size(one.nbytes_absent)} to bring" if one.absent else "all of it there"
        what = f"{size(one.nbytes)} in {len(one.sizes)} files, {absent}"
        terms = f"licence {one.locked.licence or 'not named'}{', gated' * one.locked.gated}"
        say(f"{one.spec.name}: {what}; {terms}  ({one.spec.repository})")
    say(f"{size(sum(one.nbytes_absent for one in fetches))} in all, into {cache}")


def _summary(fetches: "Sequence[Fetch]", dry_run: bool) -> dict[str, Any]:
    return {
        "fetched": [one.spec.name for one in fetches if one.absent and not dry_run],
        "there": [one.spec.name for one in fetches if not one.absent],
        "models": {
            one.spec.name: {
                "bytes": one.nbytes,
                "bytes_absent": one.nbytes_absent,
                **_described(one.locked),
            }
            for one in fetches
        },
    }


def _described(model: "LockedModel") -> dict[str, Any]:
    return model.model_dump(mode="json", exclude={"files"})
