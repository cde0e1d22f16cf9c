"""Heatmaps: a shade for each pair of names; panels of one figure share their shades."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import Quantity
from panic_hpc.plain_text import one_line
from panic_hpc.report.figures.forms import (
    MOST_NAMES,
    Handles,
    Places,
    Rows,
    by_value,
    meaning,
    names_in,
)
from panic_hpc.report.figures.style import LABEL_CHARACTERS, label, unparsed

MOST_CHARACTERS, MOST_CHARACTERS_OF_MANY = 24, 14
"""Of names beside a heatmap, alone or one of several: more leave no room for its shades."""


def height_of_heatmap(rows: Rows, spec: FigureSpec) -> float:
    """Return the height of a figure with a row of shades a name."""
    return 1.6 + 0.26 * min(len(by_value(rows, spec.y)), MOST_NAMES)


def draw_heatmap(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw a shade for each pair of names, with its number where there is room."""
    across, down = (names_in(rows, column, MOST_NAMES) for column in (spec.x, spec.y))
    shades = np.full((len(down), len(across)), np.nan)
    for row in rows:
        if row[spec.x] in across and row[spec.y] in down:
            shades[down.index(row[spec.y]), across.index(row[spec.x])] = row[spec.value]
    axes.imshow(shades, aspect="auto")
    panels = axes.get_subplotspec().get_gridspec().ncols
    # Numbers go on by themselves, words do not: of many numbers every n-th is written.
    are_numbers = all(isinstance(one, int | float) for one in across)
    crowded = len(across) * panels > 30
    every = -(-len(across) * panels // 30) if are_numbers else 1
    most = MOST_CHARACTERS_OF_MANY if panels > 1 else MOST_CHARACTERS
    upright = {"rotation": 90, "size": 6} if crowded and not are_numbers else {"rotation": 45}
    ends = {} if crowded and not are_numbers else {"ha": "right"}
    texts = axes.set_xticks(
        range(0, len(across), every), _told_apart(across[::every], most), **upright, **ends
    )
    texts += axes.set_yticks(range(len(down)), _told_apart(down, most))
    unparsed(*(tick.label1 for tick in texts))
    return []


def share_shades(grid: Sequence[Any], spec: FigureSpec, quantities: Mapping[str, Quantity]) -> None:
    """Give the heatmaps of a figure one scale and one colour bar, which says what they show.

    Both colour maps are told apart by the colour-blind; values on both sides of 0 have one whose
    middle is 0, others one that runs from the lowest to the highest.
    """
    panels = [axes for axes in grid if axes.images]
    values = np.concatenate([axes.images[0].get_array().compressed() for axes in panels])
    low, high = float(values.min()), float(values.max())
    colours = "viridis"
    if low < 0 < high:
        high = max(-low, high)
        low, colours = -high, "PuOr"
    for axes in panels:
        (picture,) = axes.images
        picture.set(cmap=colours, clim=(low, high))
        shades = picture.get_array()
        across = shades.shape[1] * axes.get_subplotspec().get_gridspec().ncols
        if shades.size <= 120 and across <= 18:
            _write_numbers(axes, picture)
    bar = panels[0].figure.colorbar(panels[0].images[0], ax=list(grid), shrink=0.8, aspect=40)
    bar.set_label(meaning(quantities[spec.value]), parse_math=False)


def _told_apart(names: Sequence[Any], most: int) -> list[str]:
    """Return short labels; where their beginnings are alike they are cut in the middle instead."""
    whole = [one_line(str(name), LABEL_CHARACTERS) for name in names]
    short = [one_line(name, most) for name in whole]
    if len(set(short)) < len(set(whole)):
        half = (most - 1) // 2
        short = [
            name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"
            for name in whole
        ]
    return [label(name) for name in short]


def _write_numbers(axes: Any, picture: Any) -> None:
    for (down, across), value in np.ndenumerate(picture.get_array().filled(np.nan)):
        if np.isfinite(value):
            red, green, blue, _ = picture.to_rgba(value)
            # Black on what is light to the eye (Rec. 709), white on what is dark.
            is_light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45
            axes.text(across, down, f"{value:.2g}", ha="center", va="center", size=7,
                      color="black" if is_light else "white")  # fmt: skip
