"""Whether an experiment's models can be loaded at all, asked before anything starts."""

from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.errors import ModelError
from panic_hpc.models import hub_cache
from panic_hpc.models.needs import needs_of_folder, not_installed

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest
    from panic_hpc.types import ModelSpec


def refuse_unavailable(manifest: "Manifest") -> None:
    """Raise ModelError that names every model of `manifest` that cannot be loaded yet, and why."""
    from panic_hpc.experiment import catalogue

    reasons = catalogue.load().refusals(manifest.specs)
    if reasons:
        raise ModelError(
            "This experiment cannot be submitted yet: " + "; ".join(dict.fromkeys(reasons)),
            hint="See `panic-hpc models list`",
        )


def missing_libraries(manifest: "Manifest", cache: Path) -> dict[str, list[str]]:
    """Return the libraries that a model here needs and this environment lacks, by model.

    Only checkpoints that are on this machine tell; nothing is imported.
    """
    found = {
        spec.name: not_installed(needs_of_folder(_folder_of(spec, cache)))
        for spec in manifest.specs
    }
    return {name: libraries for name, libraries in found.items() if libraries}


def _folder_of(spec: "ModelSpec", cache: Path) -> Path:
    if spec.path:
        return Path(spec.path)
    return cache / f"models--{spec.repository.replace('/', '--')}" / "snapshots" / spec.revision


def refuse_missing(manifest: "Manifest", cache: Path, cluster: str) -> None:
    """Raise ModelError that names every model which jobs, that are offline, would not find."""
    names = [spec.name for spec in hub_cache.missing(manifest.specs, cache)]
    if names:
        raise ModelError(
            f"{', '.join(names)}: not in {cache}, and jobs do not reach a hub",
            hint=f"Fetch them here first: panic-hpc models fetch EXP --cluster {cluster}",
        )
