"""`panic-hpc models fetch`: the models of an experiment, brought to where its jobs find them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.types import ModelSpec


def fetch_models(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXP", help="An experiment's file, or its directory.")
    ],
    cluster: Annotated[str, typer.Option(help="Into the cache that its jobs read.")] = "",
    as_json: Json = False,
) -> None:
    """Bring the models of an experiment into the cache, at the revisions that it pins.

    For a login node that reaches the hub: jobs do not. Built-in models and folders need nothing.
    """
    from panic_hpc.cli.console.output import err, say, say_json
    from panic_hpc.models import hub_cache

    cache = _cache_of(cluster)
    specs = [spec for spec in _specs_of(experiment) if spec.repository]
    # Asked first, so that nothing of the hub's client is imported where all is there.
    absent = hub_cache.missing(specs, cache)
    for spec in absent:
        with err.status(f"{spec.name}: {spec.repository} …"):
            hub_cache.fetch(spec, cache)
    if as_json:
        return say_json({"cache": str(cache), "fetched": [spec.name for spec in absent]})
    for spec in specs:
        say(f"{spec.name}  {'fetched' if spec in absent else 'was there'}  {spec.repository}")
    return say(f"{len(specs)} models of a hub are in {cache}")


def _cache_of(cluster: str) -> Path:
    from panic_hpc.backends.slurm.job_environment import model_cache
    from panic_hpc.clusters.profiles import load_cluster, resolved
    from panic_hpc.models.hub_cache import cache_directory

    return model_cache(resolved(load_cluster(cluster))) if cluster else cache_directory()


def _specs_of(experiment: Path) -> "Sequence[ModelSpec]":
    """Return the models of an experiment that is planned, or of a file that could be."""
    from panic_hpc.experiment import catalogue
    from panic_hpc.planning import manifest
    from panic_hpc.planning.plan import PlanOptions, plan_file

    if experiment.is_dir():
        # From the manifest where there is one: the file may have been edited since.
        return manifest.read(experiment).specs
    return plan_file(experiment, catalogue.load(), PlanOptions()).specs
