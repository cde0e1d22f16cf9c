"""From a model's description to the model, its weights loaded, and kept while they are of use."""

import gc
import sys
from collections.abc import Sequence
from typing import Any

from panic_hpc import installed
from panic_hpc.errors import ModelError, PanicError
from panic_hpc.keys import content_key
from panic_hpc.models.base import find_family
from panic_hpc.types import ModelSpec

_resident: dict[str, Any] = {}


def build(spec: ModelSpec) -> Any:
    """Return the model that `spec` describes, its weights not loaded yet."""
    families = installed.plugins("families")
    family = find_family(families, spec.family) or find_family(families, spec.code)
    return (family or installed.plugin("families", spec.family)).build(spec)


def load(spec: ModelSpec, device: str) -> Any:
    """Return the model that `spec` describes on `device`; ModelError where it cannot be loaded."""
    model = build(spec)
    try:
        model.load(device)
    except PanicError:
        raise
    # Whatever it is: libraries meet a checkpoint that they do not understand in any way.
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ModelError(f"{spec.name} cannot be loaded onto {device} ({what})") from error
    return model


def load_all(specs: Sequence[ModelSpec], device: str) -> list[Any]:
    """Return a loaded model for each of `specs`, equal ones once.

    A process that works on one shard after the other keeps what the next one needs too, and
    drops the rest before it loads more.
    """
    # By identity and not by name: two names for one model share its weights.
    keys = [content_key([spec.identity(), device]) for spec in specs]
    # Before loading: the pipelines of two networks side by side were upstream's out-of-memory.
    _drop(_resident.keys() - set(keys))
    for key, spec in zip(keys, specs, strict=True):
        if key not in _resident:
            _resident[key] = load(spec, device)
    return [_resident[key] for key in keys]


def _drop(keys: set[str]) -> None:
    for key in keys:
        del _resident[key]
    if not keys:
        return
    # Pipelines hold themselves in cycles (components, hooks), so dropping the name frees nothing.
    gc.collect()
    if not _resident:
        # Only libraries are left: later collections need not visit their objects again (0.3 s).
        gc.freeze()
    if "torch" in sys.modules:
        # torch keeps freed blocks for itself; the next model may need them in one piece.
        sys.modules["torch"].cuda.empty_cache()
