"""From a model's description to the model, its weights loaded."""

from typing import Any

from panic_hpc import registry
from panic_hpc.errors import ModelError
from panic_hpc.types import ModelSpec


def build(spec: ModelSpec) -> Any:
    """Return the model that `spec` describes, its weights not loaded yet."""
    families = registry.collect("panic_hpc.models")
    return registry.lookup(families, spec.family, "model family").build(spec)


def load(spec: ModelSpec, device: str) -> Any:
    """Return the model that `spec` describes on `device`; ModelError where it cannot be loaded."""
    model = build(spec)
    try:
        model.load(device)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ModelError(f"{spec.name} cannot be loaded onto {device} ({what})") from error
    return model
