"""Whether prototypes are of a model: of its weights, and of as many passes."""

from collections.abc import Mapping
from typing import Any

from panic_hpc.errors import ModelError

Told = str | int | float | bool | None


def weights_of(identity: Mapping[str, Any]) -> Mapping[str, Told]:
    """Return what prototypes and model must agree in, of a `ModelSpec.identity`; pure."""
    settings = identity["settings"]
    return {
        "repository": identity["repository"],
        "revision": identity["revision"],
        "variant": settings.get("variant"),
        "steps": settings.get("steps"),
        "passes": settings.get("passes"),
    }


def require_weights(model: str, identity: Mapping[str, Any], fitted: Mapping[str, Told]) -> None:
    """Raise ModelError where prototypes are of other weights, or of another number of passes."""
    own = weights_of(identity)
    differing = [name for name in own if own[name] != fitted.get(name)]
    if differing:
        lines = [f"{name} {fitted.get(name)!r}, and {own[name]!r} here" for name in differing]
        raise ModelError(
            f"{model}: its prototypes are of another model: {'; '.join(lines)}",
            hint="Capture and fit this model, with as many steps or passes",
        )
