"""The model families that are installed, and the models that each of them knows by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from panic_hpc import installed
from panic_hpc.errors import PanicError
from panic_hpc.types import ModelEntry, ModelSpec


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Model families by name, the models they know by name, and whose each of these is."""

    families: Mapping[str, Any]
    entries: Mapping[str, ModelEntry]
    owners: Mapping[str, str]

    def refusals(self, specs: Iterable[ModelSpec]) -> list[str]:
        """Return a sentence for each model that can be planned but not loaded yet."""
        entries = [self.entries[spec.name] for spec in specs if spec.name in self.entries]
        return [f"{entry.name}: {entry.unavailable}" for entry in entries if entry.unavailable]


def load() -> Catalogue:
    """Return the catalogue of all model families that are installed; imports no heavy library."""
    # Imports every module of families/, which is why none of them may import torch at its top.
    return catalogue_of(installed.plugins("families"))


def catalogue_of(families: Mapping[str, Any]) -> Catalogue:
    """Return the catalogue of some families; PanicError where two know a model by one name."""
    entries: dict[str, ModelEntry] = {}
    owners: dict[str, str] = {}
    for family in families.values():
        for entry in family.entries:
            if entry.name in entries:
                raise PanicError(f"Two model families have a model named {entry.name!r}")
            entries[entry.name], owners[entry.name] = entry, family.name
    return Catalogue(families, entries, owners)
