"""Scenes to controlled English, and back: a terse voice and a verbose one."""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.models.scene.scenes import (
    BACKGROUNDS,
    COLOURS,
    COUNTS,
    LAYOUTS,
    SHAPES,
    SIZES,
    groups_of,
)

PREPOSITION = {"left": "at", "right": "at", "top": "at", "bottom": "at", "centre": "in"}
PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "cross": "crosses"}


def noun(count: int, shape: int) -> str:
    """Return the shape's name in the number that the count asks for."""
    return SHAPES[shape] if count == 0 else PLURALS[SHAPES[shape]]


def verbose(row: NDArray[np.int64]) -> str:
    """Say everything: each group with count, size, colour, shape and place, then the background."""
    parts = [
        f"{COUNTS[c]} {SIZES[s]} {COLOURS[k]} {noun(c, h)} {PREPOSITION[place]} the {place}"
        for place, (c, s, k, h) in groups_of(row)
    ]
    verb = "is" if row[2] == 0 else "are"
    return f"there {verb} {' and '.join(parts)} on a {BACKGROUNDS[row[0]]} background"


def terse(row: NDArray[np.int64], group: int = 0) -> str:
    """Say one group's count, colour and shape and the background, and nothing else."""
    _, (c, _, k, h) = groups_of(row)[group]
    return f"{COUNTS[c]} {COLOURS[k]} {noun(c, h)} on {BACKGROUNDS[row[0]]}"


def attributes(row: NDArray[np.int64]) -> frozenset[str]:
    """Return everything a verbose caption says of a scene, one item a fact."""
    facts = {f"background {BACKGROUNDS[row[0]]}", f"layout {' '.join(LAYOUTS[row[1]])}"}
    for i, (_, (c, s, k, h)) in enumerate(groups_of(row)):
        facts |= {f"{i} {w}" for w in (COUNTS[c], SIZES[s], COLOURS[k], SHAPES[h])}
    return frozenset(facts)


def terse_attributes(row: NDArray[np.int64]) -> frozenset[str]:
    """Return everything a terse caption of the first group says of a scene, one item a fact."""
    _, (c, _, k, h) = groups_of(row)[0]
    return frozenset(
        {f"background {BACKGROUNDS[row[0]]}", f"0 {COUNTS[c]}", f"0 {COLOURS[k]}", f"0 {SHAPES[h]}"}
    )


def words_in(text: str, vocabulary: tuple[str, ...]) -> list[str]:
    """Return the words of a text that are of a vocabulary, plurals turned to singulars."""
    singular = {plural: word for word, plural in PLURALS.items()}
    return [w for w in (singular.get(w, w) for w in text.split()) if w in vocabulary]


def facts_of_group(i: int, part: str) -> set[str]:
    """Return what a caption says of its i-th group, place left out."""
    return {
        f"{i} {word}"
        for names in (COUNTS, SIZES, COLOURS, SHAPES)
        for word in words_in(part, names)[:1]
    }


def understood(caption: str) -> frozenset[str]:
    """Return what a caption of either voice says, in the form of `attributes`."""
    text, _, background = caption.rpartition(" on ")
    facts = {f"background {word}" for word in words_in(background, BACKGROUNDS)[:1]}
    places = words_in(text, ("left", "right", "top", "bottom", "centre"))
    if places:
        facts.add(f"layout {' '.join(places)}")
    for i, part in enumerate(text.split(" and ")):
        facts |= facts_of_group(i, part)
    return frozenset(facts)
