"""The model families that are installed, and the models that each of them knows by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from panic_hpc import registry
from panic_hpc.errors import PanicError
from panic_hpc.types import ModelEntry, ModelSpec


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Model families by name, and the entries of all of them: name → (family's name, entry)."""

    families: Mapping[str, Any]
    entries: Mapping[str, tuple[str, ModelEntry]]

    def refusals(self, specs: Iterable[ModelSpec]) -> list[str]:
        """Return a sentence for each model that can be planned but not loaded yet."""
        entries = [self.entries[spec.name][1] for spec in specs if self._is_as_listed(spec)]
        return [f"{entry.name}: {entry.unavailable}" for entry in entries if entry.unavailable]

    def _is_as_listed(self, spec: ModelSpec) -> bool:
        return spec.name in self.entries and self.entries[spec.name][0] == spec.family


def load() -> Catalogue:
    """Return the catalogue of all model families that are installed; imports no heavy library."""
    families = registry.collect("panic_hpc.models")
    entries: dict[str, tuple[str, ModelEntry]] = {}
    for family in families.values():
        for entry in family.entries:
            if entry.name in entries:
                raise PanicError(f"Two model families have a model named {entry.name!r}")
            entries[entry.name] = (family.name, entry)
    return Catalogue(families, entries)
