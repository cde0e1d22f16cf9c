"""Genomes: chromosomes of loci, individuals with copies of them, and a population as a file.

chromosomes = [
    { name = "colour", loci = ["red", "blue"] },
    { name = "pull", loci = ["more"], settings = { none = { "M.guidance" = 1.0 },
                                                   more = { "M.guidance" = 4.0 } } },
]
individuals = [{ id = "Ada", copies = { colour = [["red"], []], pull = [["more"], []] } }]
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from panic_hpc.disk.files import to_json
from panic_hpc.errors import ConfigError, nearest
from panic_hpc.experiment.config import Listed, Name
from panic_hpc.experiment.entries import filled
from panic_hpc.experiment.tables import read_table
from panic_hpc.validation.closed import Closed
from panic_hpc.validation.problems import at_most, explained, shown

MOST_COPIES = 16
MOST_SETTING_LOCI = 6
NOTHING_ON = "none"
"""What the settings of a chromosome are called by where none of its loci is on."""
JOIN = "+"

Locus = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]{1,200}\z")]
Loci = Annotated[tuple[Locus, ...], Listed, Field(max_length=20_000)]
Copies = Annotated[tuple[Loci, ...], Listed, AfterValidator(filled), Field(max_length=MOST_COPIES)]
Settings = Mapping[str, bool | int | float | str]
Switches = NDArray[np.bool_]
"""The loci of one chromosome of an individual, (copies, loci): which are on."""


class Chromosome(Closed):
    """Loci that are inherited together, in the order in which they are said.

    settings: none for a chromosome of words. Else what each set of loci that are on sets, by
        MODEL.SETTING; a set is called by its loci in order, with + between them, or "none".
    """

    name: Name
    loci: Annotated[Loci, AfterValidator(filled)]
    settings: dict[str, dict[str, bool | int | float | str]] = Field(default_factory=dict)

    def setting_of(self, is_on: Sequence[bool] | Switches) -> Settings:
        """Return what is set where these loci are on."""
        return self.settings[_set_name(self.loci, is_on)]


Stretch = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
Gift = Annotated[tuple[Annotated[Stretch, Listed], ...], Listed, AfterValidator(filled)]
"""What a parent gave of a chromosome: (locus, copy), from that locus on its copy of that number."""


class Parent(Closed):
    """A parent, and what it gave of each chromosome."""

    id: Name
    gave: dict[Name, Gift] = Field(default_factory=dict)


class Mutation(Closed):
    """A locus of one copy that was switched at birth."""

    chromosome: Name
    of_copy: Annotated[int, Field(ge=0)]
    locus: Locus
    to: Literal["on", "off"]


class Individual(Closed):
    """What is bred. Its copies of each chromosome are the loci that are on in them.

    parents: none for a founder. The child's copy number k came from parent number k.
    mutations: what changed after that.
    """

    id: Name
    copies: dict[Name, Copies]
    parents: Annotated[tuple[Parent, ...], Listed] = ()
    mutations: Annotated[tuple[Mutation, ...], Listed] = ()

    @property
    def n_copies(self) -> int:
        """Its ploidy."""
        return len(next(iter(self.copies.values())))

    def switches(self, chromosome: Chromosome) -> Switches:
        """Return which loci of a chromosome are on, (copies, loci)."""
        copies = [frozenset(copy) for copy in self.copies[chromosome.name]]
        return np.array([[locus in copy for locus in chromosome.loci] for copy in copies], bool)


class Population(Closed):
    """Chromosomes, and the individuals that have copies of them."""

    format: Literal["panic_hpc population 1"] = "panic_hpc population 1"
    chromosomes: Annotated[
        tuple[Chromosome, ...], Listed, AfterValidator(filled), Field(max_length=1000)
    ]
    individuals: Annotated[tuple[Individual, ...], Listed, Field(max_length=100_000)] = ()

    def as_json(self) -> bytes:
        """Return its file."""
        return to_json(self.model_dump(mode="json"))


def copies_of(chromosome: Chromosome, switches: Switches) -> tuple[tuple[str, ...], ...]:
    """Return copies as they are written: the loci that are on, in order."""
    return tuple(loci_on(chromosome.loci, row) for row in switches)


def loci_on(loci: Sequence[str], is_on: Sequence[bool] | Switches) -> tuple[str, ...]:
    """Return the loci that are on, in order."""
    return tuple(locus for locus, on in zip(loci, is_on, strict=True) if on)


_KEYS = tuple(
    key
    for kind in (Population, Chromosome, Individual, Parent, Mutation)
    for key in kind.model_fields
)


def read_population(path: Path) -> Population:
    """Return the population in a TOML or JSON file; ConfigError with all that is wrong in it."""
    return population_of(read_table(path), str(path))


def population_of(table: Mapping[str, Any], source: str) -> Population:
    """Return a table as a population; ConfigError, naming its source, with all that is wrong."""
    try:
        population = Population.model_validate(table)
    except ValidationError as error:
        told = explained(error, (), _KEYS)
        raise ConfigError(source, at_most(told)) from None
    if problems := list(population_problems(population)):
        raise ConfigError(source, at_most(problems))
    return population


def population_problems(population: Population) -> Iterator[str]:
    """Yield what is wrong with a population of the right form."""
    names = [one.name for one in population.chromosomes]
    yield from _repeated("chromosomes", names)
    for chromosome in population.chromosomes:
        place = f"chromosomes.{chromosome.name}"
        yield from _repeated(f"{place}.loci", chromosome.loci)
        yield from _setting_problems(chromosome, place)
    yield from _repeated("individuals", [one.id for one in population.individuals])
    loci = {one.name: frozenset(one.loci) for one in population.chromosomes}
    for individual in population.individuals:
        yield from _individual_problems(individual, loci)


def _repeated(place: str, values: Sequence[str]) -> Iterator[str]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        yield f"{place}: more than once: {', '.join(map(shown, twice[:5]))}"


def _setting_problems(chromosome: Chromosome, place: str) -> Iterator[str]:
    if not chromosome.settings:
        return
    if len(chromosome.loci) > MOST_SETTING_LOCI:
        yield f"{place}: at most {MOST_SETTING_LOCI} loci can set something"
        return
    if odd := [one for one in chromosome.loci if JOIN in one or one == NOTHING_ON]:
        yield f"{place}.loci: {shown(odd[0])} cannot be the name of a locus that sets something"
    sets = product((False, True), repeat=len(chromosome.loci))
    wanted = [_set_name(chromosome.loci, is_on) for is_on in sets]
    for name in wanted:
        if name not in chromosome.settings:
            yield f"{place}.settings.{name} is missing: it has to say what is set then"
    for name in chromosome.settings:
        if name not in wanted:
            hint = nearest(name, wanted)
            yield f"{place}.settings.{name}: no set of its loci is called so. {hint}".rstrip()
    keys = [frozenset(one) for one in chromosome.settings.values()]
    if len(set(keys)) > 1 or not all(keys):
        yield f"{place}.settings: each has to set the same settings, one at least"


def _set_name(loci: Sequence[str], is_on: Sequence[bool] | Switches) -> str:
    return JOIN.join(loci_on(loci, is_on)) or NOTHING_ON


def _individual_problems(
    individual: Individual, loci: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    place = f"individuals.{individual.id}"
    for name in loci.keys() - individual.copies.keys():
        yield f"{place}.copies: chromosome {name} is missing"
    for name in individual.copies.keys() - loci.keys():
        yield f"{place}.copies.{name}: unknown chromosome. {nearest(name, loci)}".rstrip()
    if len({len(copies) for copies in individual.copies.values()}) > 1:
        numbers = ", ".join(f"{name} {len(own)}" for name, own in individual.copies.items())
        yield f"{place}: copies of unequal number ({numbers})"
    for name in individual.copies.keys() & loci.keys():
        for number, copy in enumerate(individual.copies[name]):
            yield from _repeated(f"{place}.copies.{name}[{number}]", copy)
            if unknown := [locus for locus in copy if locus not in loci[name]]:
                told = ", ".join(map(shown, unknown))
                yield f"{place}.copies.{name}[{number}]: no loci of this chromosome: {told}"
