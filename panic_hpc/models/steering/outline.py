"""What a checkpoint could be steered at, from its configurations alone: no weight is read.

A family whose models can be steered has a setting `steering` and a method

    empty_parts(spec) -> EmptyParts

which says what the models of a checkpoint consist of, without their weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from panic_hpc import installed
from panic_hpc.errors import ModelError
from panic_hpc.models.base import family_of
from panic_hpc.models.steering.locations import Modules, Place, Wiring, places_of
from panic_hpc.models.torch_setup import quiet_loaders
from panic_hpc.types import ModelSpec


class EmptyParts(NamedTuple):
    """What a model consists of: its class, what is known of it, the modules of its parts.

    `n_passes` is None where the model alone does not tell how often its denoiser is called.
    """

    kind: str
    wiring: Wiring
    modules: Mapping[str, Modules]
    n_passes: int | None


@dataclass(frozen=True)
class Outline:
    """The layers of a model: its class, what is known of that, its places and passes."""

    kind: str
    wiring: Wiring
    places: tuple[Place, ...]
    n_passes: int | None

    @property
    def layers(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the layers of each location that there is."""
        numbers: dict[str, tuple[int, ...]] = {}
        for place in self.places:
            numbers[place.location] = (*numbers.get(place.location, ()), place.layer)
        return numbers


def can_be_steered(spec: ModelSpec) -> bool:
    """Say whether models of this family can be steered, and listened to: it has the setting."""
    return _has_the_setting(family_of(installed.plugins("families"), spec))


def families_that_can() -> str:
    """Return the names of the families whose models can be steered, in words."""
    families = installed.plugins("families")
    return ", ".join(name for name, family in families.items() if _has_the_setting(family))


def _has_the_setting(family: Any) -> bool:
    return family is not None and "steering" in family.settings.model_fields


def outline_of(spec: ModelSpec) -> Outline:
    """Return the outline of a model whose files are here.

    Raises ModelError where they are not, or are of a class whose layers nobody knows.
    """
    family = family_of(installed.plugins("families"), spec)
    if not _has_the_setting(family):
        raise ModelError(
            f"{spec.name} turns {spec.consumes} into {spec.produces}; models of these families "
            f"can be steered: {families_that_can()}"
        )
    quiet_loaders()
    kind, wiring, modules, n_passes = family.empty_parts(spec)
    return Outline(kind, wiring, places_of(wiring, modules), n_passes)
