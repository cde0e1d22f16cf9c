"""Whether an experiment's models can be loaded at all, asked before anything starts."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc import installed
from panic_hpc.errors import ModelError
from panic_hpc.models.checks import records
from panic_hpc.models.hub import cache as hub_cache
from panic_hpc.models.needs import needs_of_folder, not_installed

if TYPE_CHECKING:
    from panic_hpc.planning.plan import Plan
    from panic_hpc.types import ModelSpec


def obstacles(plan: "Plan") -> list[str]:
    """Return a sentence for everything that keeps a plan's models from being loaded anywhere."""
    from panic_hpc.experiment import catalogue

    return [*catalogue.load().refusals(plan.specs), *_remote_code(plan)]


def _remote_code(plan: "Plan") -> list[str]:
    if plan.experiment.allow_remote_code:
        return []
    families = installed.plugins("families")
    runs = [
        spec.name
        for spec in plan.specs
        if getattr(families.get(spec.family), "runs_repository_code", False)
    ]
    what = "runs code of its repository, which the experiment does not allow"
    how = "set allow_remote_code = true, or plan with --allow-remote-code"
    return [f"{name} {what} ({how})" for name in runs]


def refuse_unavailable(plan: "Plan") -> None:
    """Raise ModelError that names every model of a plan that cannot be loaded, and why."""
    if reasons := obstacles(plan):
        raise ModelError(
            "This experiment cannot be submitted: " + "; ".join(reasons),
            hint="See `panic-hpc models list`",
        )


def missing_libraries(plan: "Plan", cache: Path) -> dict[str, list[str]]:
    """Return the libraries that a model here needs and this environment lacks, by model.

    A model known by name says what it needs; others do where their checkpoint is on this machine.
    Nothing is imported.
    """
    from panic_hpc.experiment import catalogue

    entries = catalogue.load().entries
    needs = {
        spec.name: {
            *(entries[spec.name].needs if spec.name in entries else ()),
            *needs_of_folder(_folder_of(spec, cache)),
        }
        for spec in plan.specs
    }
    found = {name: not_installed(sorted(libraries)) for name, libraries in needs.items()}
    return {name: libraries for name, libraries in found.items() if libraries}


def _folder_of(spec: "ModelSpec", cache: Path) -> Path:
    if spec.path:
        return Path(spec.path)
    return hub_cache.snapshot_folder(spec.repository, spec.revision, cache)


def refuse_unready(plan: "Plan", directory: Path, cache: Path, cluster: str) -> None:
    """Raise ModelError where workers would not find a model, or it failed its checks everywhere.

    Each such model is named. Workers are offline, so what is not in `cache` is not there for them.
    `directory` is where the plan lies.
    """
    experiment = shlex.quote(str(directory))
    names = [spec.name for spec in hub_cache.missing(plan.specs, cache)]
    where = "" if cluster == "local" else f" --cluster {cluster}"
    if names:
        raise ModelError(
            f"{', '.join(names)}: not in {cache}, and workers do not reach a hub",
            hint=f"Fetch them here first: panic-hpc models fetch {experiment}{where}",
        )
    if lines := records.failures(plan.specs, cache):
        raise ModelError(
            "Models of this experiment failed their checks: " + "; ".join(lines),
            hint=f"Check them again after a change: panic-hpc models check {experiment}{where}",
        )
