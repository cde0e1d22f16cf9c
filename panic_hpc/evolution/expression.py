"""Expression: what an individual says and sets, by chance, by how many copies have a locus on.

A locus takes part where a uniform number is below the share of copies that have it on, to which
N(0, perturbation) is added if asked for. Texts have their words in the order of the loci.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panic_hpc.evolution.genome import Chromosome, Individual, Settings, loci_on
from panic_hpc.keys import hash_seed

SLOT = "{}"


@dataclass(frozen=True, slots=True)
class Expression:
    """A text, "" where no word takes part, and settings by MODEL.SETTING."""

    text: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Wording:
    """How a text is made of words: what stands between them, and around them."""

    separator: str = ", "
    template: str = SLOT

    def text(self, words: Sequence[str]) -> str:
        """Return the text of words, "" of none."""
        return self.template.replace(SLOT, self.separator.join(words), 1) if words else ""


def generator(purpose: str, *place: int) -> np.random.Generator:
    """Return the chance of one thing: seed, round, number. No other thing's order moves it."""
    return np.random.default_rng(hash_seed(f"evolution {purpose}", *place))


def expressed(
    individual: Individual,
    chromosomes: Sequence[Chromosome],
    draw: np.random.Generator,
    *,
    perturbation: float = 0.0,
    wording: Wording = Wording(),
) -> Expression:
    """Return one expression of an individual."""
    words: list[str] = []
    settings: dict[str, bool | int | float | str] = {}
    for chromosome in chromosomes:
        share = individual.switches(chromosome).mean(axis=0)
        if perturbation > 0:
            share = share + draw.normal(0.0, perturbation, len(share))
        is_on = draw.random(len(share)) < share
        if chromosome.settings:
            settings |= chromosome.setting_of(is_on)
        else:
            words += loci_on(chromosome.loci, is_on)
    return Expression(wording.text(words), settings)
