"""Populations in the form of toy_sd_genetics (gen001.json …): read, and written.

A list of individuals: `name`; `chromosomes` with `type` and `genes`, a list of loci a copy; and
`parentage`, whose entries are (name, the parent's own parentage), nested as deep as the family is
old. Here ancestry is flat, so that of ancestors beyond parents nothing is kept but their names.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc.disk.files import read_json
from panic_hpc.errors import ConfigError
from panic_hpc.evolution.genome import Chromosome, Individual, Population, population_of
from panic_hpc.experiment.tables import read_table
from panic_hpc.experiment.text_file import read_text
from panic_hpc.validation.problems import at_most, shown
from panic_hpc.validation.record import as_record

LIMIT_BYTES = 256 * 2**20
DEEPEST = 6
"""Generations of ancestors that are written: each has twice as many as the one before."""
_LETTERS = re.compile(r"([A-Z])([A-Z])\Z")
OTHERS = "11"
"""What the chromosome of words that begin with no letter ends with."""


@dataclass(frozen=True)
class SeedChromosome:
    """A chromosome as that form has it."""

    type: str
    genes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SeedIndividual:
    """An individual as that form has it; parentage is looked at by hand, since it nests."""

    name: str
    chromosomes: tuple[SeedChromosome, ...]
    parentage: tuple[Any, ...]


def read_seed_file(path: Path, vocabulary: Path | None = None) -> Population:
    """Return the population in a file of that form; ConfigError with all that is wrong in it.

    Loci are those of the file `vocabulary`, or else those that somebody has, sorted: then mutation
    finds no others. Loci that the vocabulary lacks are listed, not dropped.
    """
    people = _people(path)
    names = [one.type for one in people[0].chromosomes]
    loci = _loci_of(people)
    if vocabulary:
        own = _vocabulary(vocabulary, names)
        # A list of words says nothing of chromosomes that are none of letters.
        others = {name: of_it for name, of_it in loci.items() if not _has_letters(name)}
        loci = {**others, **own} if vocabulary.suffix.lower() == ".txt" else own
    table = {
        "chromosomes": [{"name": name, "loci": list(loci.get(name, ()))} for name in names],
        "individuals": [_individual(one) for one in people],
    }
    # A chromosome that nobody has anything on is none of theirs.
    table["chromosomes"] = [one for one in table["chromosomes"] if one["loci"]]
    known = {one["name"] for one in table["chromosomes"]}
    for one in table["individuals"]:
        one["copies"] = {k: own for k, own in one["copies"].items() if k in known or any(own)}
    return population_of(table, str(path))


def _people(path: Path) -> list[SeedIndividual]:
    values = read_json(path, limit=LIMIT_BYTES)
    if not isinstance(values, list) or not values:
        raise ConfigError(str(path), ["a list of individuals was expected"])
    people, problems = [], []
    for place, value in enumerate(values):
        try:
            people.append(as_record(SeedIndividual, value))
        except ValueError as error:
            problems.append(f"[{place}]: {error}")
    if problems:
        raise ConfigError(str(path), at_most(problems))
    return people


def _loci_of(people: Sequence[SeedIndividual]) -> Mapping[str, list[str]]:
    found: dict[str, set[str]] = {}
    for one in people:
        for chromosome in one.chromosomes:
            found.setdefault(chromosome.type, set()).update(*chromosome.genes)
    return {name: sorted(loci) for name, loci in found.items()}


def _individual(one: SeedIndividual) -> dict[str, Any]:
    return {
        "id": one.name,
        "copies": {own.type: [sorted(set(copy)) for copy in own.genes] for own in one.chromosomes},
        "parents": [{"id": name} for name in _parents(one.parentage)],
    }


def _parents(parentage: Sequence[Any]) -> Iterator[str]:
    for entry in parentage:
        is_pair = isinstance(entry, list | tuple) and len(entry) == 2
        yield entry[0] if is_pair and isinstance(entry[0], str) else shown(entry)


def seed_form(
    people: Sequence[Individual],
    chromosomes: Sequence[Chromosome],
    known: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """Return individuals in that form; `known` are the parents' ids of everybody, by id.

    Ancestors of more than DEEPEST generations are left out.
    """
    return [
        {
            "name": one.id,
            "chromosomes": [
                {"type": own.name, "genes": [list(copy) for copy in one.copies[own.name]]}
                for own in chromosomes
            ],
            "parentage": _nested([parent.id for parent in one.parents], known),
        }
        for one in people
    ]


def _nested(
    parents: Sequence[str], known: Mapping[str, Sequence[str]], depth: int = DEEPEST
) -> list[list[Any]]:
    own = parents if depth else ()
    return [[name, _nested(known.get(name, ()), known, depth - 1)] for name in own]


def _vocabulary(path: Path, names: Sequence[str]) -> Mapping[str, list[str]]:
    """Return loci by chromosome from a file: a table of lists, or a .txt with a locus a line.

    A line's locus goes to the chromosome of `names` whose last two letters, as in FeatureChromoAB,
    have its first one, or that ends with 11 where it begins with no letter. ConfigError, with all
    of them, of loci that have no chromosome.
    """
    if path.suffix.lower() != ".txt":
        table = read_table(path)
        wrong = [name for name, loci in table.items() if not _are_texts(loci)]
        if wrong:
            raise ConfigError(
                str(path), [f"{name}: a list of texts was expected" for name in wrong]
            )
        return table
    found: dict[str, list[str]] = {}
    homeless = []
    for line in read_text(path, LIMIT_BYTES).split("\n"):
        if locus := line.strip():
            name = next((one for one in names if _holds(one, locus)), "")
            found.setdefault(name, []).append(locus)
            homeless += [] if name else [locus]
    if homeless:
        told = [f"no chromosome for {shown(locus)}" for locus in homeless]
        raise ConfigError(str(path), at_most(told))
    return found


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _has_letters(name: str) -> bool:
    return bool(_LETTERS.search(name)) or name.endswith(OTHERS)


def _holds(name: str, locus: str) -> bool:
    first = locus[0].upper()
    letters = _LETTERS.search(name)
    if letters:
        return letters[1] <= first <= letters[2]
    return name.endswith(OTHERS) and not ("A" <= first <= "Z")
