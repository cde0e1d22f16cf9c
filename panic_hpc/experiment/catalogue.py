"""The model families that are installed, and the models that each of them knows by name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from panic_hpc import installed
from panic_hpc.errors import PanicError
from panic_hpc.models.base import find_family
from panic_hpc.models.known.rows import KnownRow, entry_of, known_rows
from panic_hpc.types import ModelEntry, ModelSpec

Rows = Mapping[str, tuple[KnownRow, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Model families by name, the models known by name, and the family of each ("" for none)."""

    families: Mapping[str, Any]
    entries: Mapping[str, ModelEntry]
    owners: Mapping[str, str]

    def refusals(self, specs: Iterable[ModelSpec]) -> list[str]:
        """Return a sentence for each model that can be planned but not loaded."""
        # By the family and not by the name: an experiment may give a name weights of its own.
        return [
            f"{spec.name} cannot be loaded: {self.entries[spec.name].unavailable}"
            for spec in specs
            if self.owners.get(spec.name) == spec.family and self.entries[spec.name].unavailable
        ]


def load() -> Catalogue:
    """Return the catalogue of all model families that are installed; imports no heavy library."""
    # Imports every module of families/, which is why none of them may import torch at its top.
    return catalogue_of(installed.plugins("families"), known_rows())


def catalogue_of(families: Mapping[str, Any], rows: Rows = MappingProxyType({})) -> Catalogue:
    """Return the catalogue of some families and rows; PanicError where two models have one name."""
    entries: dict[str, ModelEntry] = {}
    owners: dict[str, str] = {}
    own = [(family.name, entry) for family in families.values() for entry in family.entries]
    for owner, entry in [*own, *_from_rows(families, rows)]:
        if entry.name in entries:
            raise PanicError(f"Two models are named {entry.name!r}")
        entries[entry.name], owners[entry.name] = entry, owner
    return Catalogue(families, entries, owners)


def _from_rows(families: Mapping[str, Any], rows: Rows) -> Iterator[tuple[str, ModelEntry]]:
    for name, (row, settings) in rows.items():
        if row.unavailable:
            yield "", entry_of(name, row, settings, (row.consumes, row.produces))
            continue
        family = find_family(families, row.family)
        told = family.modalities(family.settings.model_validate(settings, strict=True))
        yield family.name, entry_of(name, row, settings, told)
