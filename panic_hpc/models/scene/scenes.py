"""Scenes of the micro-world as rows of integers, and the rule that holds combinations out.

A scene is a background and one or two groups of like things. A row is
``(background, layout, count, size, colour, shape, count, size, colour, shape)``; the last four
entries are -1 where there is one group only.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

BACKGROUNDS = ("white", "grey", "black", "brown")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "cross")
SIZES = ("small", "large")
COUNTS = ("one", "two", "three")
PLACES = ("left", "right", "top", "bottom", "centre")
LAYOUTS = (
    ("left",),
    ("right",),
    ("top",),
    ("bottom",),
    ("centre",),
    ("left", "right"),
    ("top", "bottom"),
)
GROUP_ATTRIBUTES = (COUNTS, SIZES, COLOURS, SHAPES)
SINGLE_LAYOUTS = 5
SINGLE_SHARE = 0.35


def groups_of(row: NDArray[np.int64]) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Return the place and the four attribute indices of each group of a scene."""
    places = LAYOUTS[int(row[1])]
    return [(place, tuple(map(int, row[2 + 4 * i : 6 + 4 * i]))) for i, place in enumerate(places)]  # type: ignore[misc]


def is_held_out(groups: Rows) -> NDArray[np.bool_]:
    """Say which groups (..., 4) are combinations that training never shows: 18 of 144.

    A Latin-square rule, so that every pair of attribute values is still seen.
    """
    count, size, colour, shape = np.moveaxis(groups, -1, 0)
    return np.asarray((count + 3 * size + 2 * colour + 4 * shape + colour * shape) % 9 == 4)


def has_held_out(rows: Rows) -> NDArray[np.bool_]:
    """Say which scenes (N, 10) contain a group held out of training."""
    second = is_held_out(rows[:, 6:10]) & (rows[:, 6] >= 0)
    return is_held_out(rows[:, 2:6]) | second


def draw_rows(rng: np.random.Generator, n: int) -> Rows:
    """Draw n scenes (n, 10) with every attribute uniform; a third of them have one group."""
    single = rng.random(n) < SINGLE_SHARE
    layout = np.where(
        single,
        rng.integers(SINGLE_LAYOUTS, size=n),
        rng.integers(SINGLE_LAYOUTS, len(LAYOUTS), size=n),
    )
    groups = [rng.integers(len(a), size=n) for _ in range(2) for a in GROUP_ATTRIBUTES]
    rows = np.stack([rng.integers(len(BACKGROUNDS), size=n), layout, *groups], axis=1)
    same = (rows[:, 4] == rows[:, 8]) & (rows[:, 5] == rows[:, 9])
    rows[same, 8] = (rows[same, 8] + 1) % len(COLOURS)
    rows[single, 6:] = -1
    return rows


def sample(rng: np.random.Generator, n: int, *, held_out: bool = False) -> Rows:
    """Draw n scenes (n, 10) that training may see, or with ``held_out`` such as it never sees."""
    kept: list[Rows] = []
    while sum(map(len, kept)) < n:
        rows = draw_rows(rng, 2 * n + 64)
        kept.append(rows[has_held_out(rows) == held_out])
    return np.concatenate(kept)[:n]
