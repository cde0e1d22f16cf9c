"""Whether an experiment's models can be loaded at all, asked before anything starts."""

from typing import TYPE_CHECKING

from panic_hpc.errors import ModelError

if TYPE_CHECKING:
    from panic_hpc.manifest import Manifest


def refuse_unavailable(manifest: "Manifest") -> None:
    """Raise ModelError that names every model of `manifest` that cannot be loaded yet, and why."""
    from panic_hpc import catalogue

    entries = catalogue.load().entries
    specs = [spec for network in manifest.networks for spec in network.models]
    names = dict.fromkeys(spec.name for spec in (*specs, *manifest.embedding_models))
    reasons = [
        f"{name}: {entries[name].unavailable}"
        for name in names
        if name in entries and entries[name].unavailable
    ]
    if reasons:
        raise ModelError(
            "This experiment cannot be submitted yet: " + "; ".join(reasons),
            hint="See `panic-hpc models list`",
        )
