"""Founders from captions: an individual a text, of the words of a vocabulary that the text has."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from panic_hpc.errors import PanicError
from panic_hpc.evolution.genome import Chromosome, Individual
from panic_hpc.plain_text import words_of

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

_BETWEEN = re.compile(r"[_\s]+")


def founders_of(texts: Sequence[str], chromosomes: Sequence[Chromosome]) -> tuple[Individual, ...]:
    """Return a founder a text, with one copy of each chromosome; texts without a locus are none.

    A locus is on where its words stand in the text one after another, whatever their case; `_` is
    a blank. Loci that set something are off.
    """
    found: list[Individual] = []
    for text in dict.fromkeys(texts):
        words = f" {' '.join(words_of(_BETWEEN.sub(' ', text)))} "
        copies: dict[str, tuple[tuple[str, ...], ...]] = {
            one.name: (
                tuple(locus for locus in one.loci if not one.settings and _is_said(locus, words)),
            )
            for one in chromosomes
        }
        if any(own[0] for own in copies.values()):
            found.append(Individual(id=f"founder-{len(found):03d}", copies=copies))
    return tuple(found)


def _is_said(locus: str, words: str) -> bool:
    wanted = " ".join(words_of(_BETWEEN.sub(" ", locus)))
    return bool(wanted) and f" {wanted} " in words


def captions_of(dataset: "Dataset") -> list[str]:
    """Return the last text of each run of a dataset; PanicError where there is none."""
    texts = [dataset.texts(run) for run in range(dataset.n_runs)]
    found = [own[max(own)] for own in texts if own]
    if not found:
        raise PanicError(
            f"{dataset.path} has no texts", hint="A network with a captioner has: MicroVerbose, say"
        )
    return found
