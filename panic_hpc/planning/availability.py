"""Whether an experiment's models can be loaded at all, asked before anything starts."""

from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc import installed
from panic_hpc.errors import ModelError
from panic_hpc.models.hub import cache as hub_cache

if TYPE_CHECKING:
    from panic_hpc.planning.plan import Plan


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


def refuse_missing(plan: "Plan", cache: Path, cluster: str) -> None:
    """Raise ModelError that names every model which workers, that are offline, would not find."""
    names = [spec.name for spec in hub_cache.missing(plan.specs, cache)]
    if names:
        where = "" if cluster == "local" else f" --cluster {cluster}"
        raise ModelError(
            f"{', '.join(names)}: not in {cache}, and workers do not reach a hub",
            hint=f"Fetch them here first: panic-hpc models fetch EXP{where}",
        )
