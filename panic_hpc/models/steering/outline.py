"""What a checkpoint could be steered at, from its configurations alone: no weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc import installed
from panic_hpc.errors import ModelError
from panic_hpc.models.base import family_of
from panic_hpc.models.pipelines.parts import open_folder, part_class
from panic_hpc.models.steering.locations import Place, Wiring, places_of, wiring_of
from panic_hpc.models.steering.taps import modules_of
from panic_hpc.models.torch_setup import quiet_loaders
from panic_hpc.models.weights import find_weights
from panic_hpc.types import ModelSpec


@dataclass(frozen=True)
class Outline:
    """The layers of a model: the class of its pipeline, what the table says of it, its places."""

    kind: str
    wiring: Wiring
    places: tuple[Place, ...]

    @property
    def layers(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the layers of each location that there is."""
        numbers: dict[str, tuple[int, ...]] = {}
        for place in self.places:
            numbers[place.location] = (*numbers.get(place.location, ()), place.layer)
        return numbers


def can_be_steered(spec: ModelSpec) -> bool:
    """Say whether models of this family can be steered, and listened to: it has the setting."""
    family = family_of(installed.plugins("families"), spec)
    return family is not None and "steering" in family.settings.model_fields


def outline_of(spec: ModelSpec) -> Outline:
    """Return the outline of a model whose files are here.

    Raises ModelError where they are not, or are of a class that the table does not have.
    """
    if not can_be_steered(spec):
        raise ModelError(
            f"{spec.name} turns {spec.consumes} into {spec.produces}; picture models of diffusers "
            "can be steered"
        )
    quiet_loaders()
    folder = open_folder(spec, find_weights(spec))
    wiring = wiring_of(folder.kind.__name__, spec.name)
    parts = {
        name: _empty(folder.path / name, part_class(spec, *folder.parts[name]))
        for name in wiring.parts
        if name in folder.parts
    }
    return Outline(folder.kind.__name__, wiring, places_of(wiring, modules_of(parts)))


def _empty(path: Path, kind: Any) -> Any:
    """Return a part of a pipeline without weights."""
    import torch
    from diffusers import ModelMixin
    from transformers import AutoConfig

    with torch.device("meta"):
        if issubclass(kind, ModelMixin):
            return kind.from_config(kind.load_config(path))
        return kind(AutoConfig.from_pretrained(path, local_files_only=True))
