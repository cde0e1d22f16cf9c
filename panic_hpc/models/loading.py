"""From a model's description to the model, its weights loaded, and kept while they are of use."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from panic_hpc import installed
from panic_hpc.errors import ModelError, PanicError
from panic_hpc.keys import content_key
from panic_hpc.models.base import family_of, find_family
from panic_hpc.models.device.residency import Resident, Residents
from panic_hpc.types import ModelSpec

R = TypeVar("R")
_residents = Residents()


def build(spec: ModelSpec) -> Any:
    """Return the model that `spec` describes, its weights not loaded yet."""
    families = installed.plugins("families")
    return (family_of(families, spec) or installed.plugin("families", spec.family)).build(spec)


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
    _adopt(specs, keys, device)
    # Before loading: the pipelines of two networks side by side were upstream's out-of-memory.
    _residents.keep(keys)
    for key, spec in zip(keys, specs, strict=True):
        if key not in _residents:
            _residents.add(key, device, lambda spec=spec: load(spec, device))  # type: ignore[misc]
    return [_residents.model(key) for key in keys]


def _adopt(specs: Sequence[ModelSpec], keys: Sequence[str], device: str) -> None:
    """Make missing models of loaded ones that are not wanted any more and have the same weights.

    So the cells of a sweep, one after the other, load their weights once.
    """
    for key, spec in zip(keys, specs, strict=True):
        if key in _residents:
            continue
        for other, donor in _residents.items():
            if other not in keys and _has_weights_of(spec, donor, device):
                _residents.replace(other, key, lambda model, spec=spec: _adopted(spec, model))  # type: ignore[misc]
                break


def _has_weights_of(spec: ModelSpec, donor: Resident, device: str) -> bool:
    weights = _weights(spec)
    return bool(weights) and donor.device == device and weights == _weights(donor.model.spec)


def _weights(spec: ModelSpec) -> dict[str, Any]:
    """Return all that decides what a model loads, {} where its family does not say."""
    family = find_family(installed.plugins("families"), spec.code)
    named = getattr(family, "weight_settings", ())
    chosen = {name: spec.settings.get(name) for name in named}
    return {**spec.identity(), "batch_size": 0, "settings": chosen} if named else {}


def _adopted(spec: ModelSpec, donor: Any) -> Any:
    model = build(spec)
    model.adopt(donor)
    return model


def on_device(model: Any, call: Callable[[], R]) -> R:
    """Return `call()` with `model`, which `load_all` returned, on its device."""
    return _residents.call(model, call)
