"""Whether an experiment's models can be loaded at all, asked before anything starts."""

from typing import TYPE_CHECKING

from panic_hpc.errors import ModelError

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
