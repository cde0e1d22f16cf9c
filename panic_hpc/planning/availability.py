"""Whether an experiment's models can be loaded at all, asked before anything starts."""

from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.errors import ModelError
from panic_hpc.models import hub_cache

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest


def refuse_unavailable(manifest: "Manifest") -> None:
    """Raise ModelError that names every model of `manifest` that cannot be loaded yet, and why."""
    from panic_hpc.experiment import catalogue

    reasons = catalogue.load().refusals(manifest.specs)
    if reasons:
        raise ModelError(
            "This experiment cannot be submitted yet: " + "; ".join(dict.fromkeys(reasons)),
            hint="See `panic-hpc models list`",
        )


def refuse_missing(manifest: "Manifest", cache: Path, cluster: str) -> None:
    """Raise ModelError that names every model which jobs, that are offline, would not find."""
    names = [spec.name for spec in hub_cache.missing(manifest.specs, cache)]
    if names:
        raise ModelError(
            f"{', '.join(names)}: not in {cache}, and jobs do not reach a hub",
            hint=f"Fetch them here first: panic-hpc models fetch EXP --cluster {cluster}",
        )
