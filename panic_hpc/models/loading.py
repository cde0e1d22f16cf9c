"""From a model's description to the model, its weights loaded, and kept while they are of use."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from panic_hpc import installed
from panic_hpc.errors import ModelError, PanicError
from panic_hpc.keys import content_key
from panic_hpc.models.base import find_family
from panic_hpc.models.device.residency import Residents
from panic_hpc.types import ModelSpec

R = TypeVar("R")
_residents = Residents()


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
    """Return a loaded model for each of `specs`, equal ones once; call them by `on_device`.

    A process that works on one shard after the other keeps what the next one needs too. Before it
    loads more the rest leaves the device: it waits in the host's memory where that has room.
    """
    # By identity and not by name: two names for one model share its weights.
    keys = [content_key([spec.identity(), device]) for spec in specs]
    # Before loading: the pipelines of two networks side by side were upstream's out-of-memory.
    _residents.keep(keys)
    for key, spec in zip(keys, specs, strict=True):
        if key not in _residents:
            _residents.add(key, device, lambda spec=spec: load(spec, device))  # type: ignore[misc]
    return [_residents.model(key) for key in keys]


def on_device(model: Any, call: Callable[[], R]) -> R:
    """Return `call()` with `model`, which `load_all` returned, on its device."""
    return _residents.call(model, call)
