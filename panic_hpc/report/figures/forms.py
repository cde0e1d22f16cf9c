"""The forms of figures: each draws rows of a table into axes of matplotlib."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import Quantity
from panic_hpc.report.figures.style import (
    COLOURS,
    DASHES,
    HATCHES,
    MARKERS,
    NULL_COLOUR,
    label,
    unparsed,
)

Rows = Sequence[Mapping[str, Any]]
HORIZONTAL = ("intervals", "distributions", "bars")
"""Forms whose names stand on the left, where there is room for them, and whose y goes across."""
MOST_SERIES = 8
MOST_NAMES = 40
Places = Mapping[Any, int]
"""The place of each series, which decides its colour, mark and dash: the same in all panels."""
Handles = Sequence[tuple[Any, Any]]
"""What a legend says of series: what is drawn of each, and its name."""


def by_value(rows: Rows, column: str) -> dict[Any, list[Mapping[str, Any]]]:
    """Return rows by their value in a column, in order of first appearance; "" : all together."""
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[column] if column else "", []).append(row)
    return found


def usual_height(rows: Rows, spec: FigureSpec) -> float:
    """Return the height, in inches, of a figure with two axes of numbers."""
    return 3.4


def height_of_names(rows: Rows, spec: FigureSpec) -> float:
    """Return the height of a figure with a line a name."""
    return 1.0 + 0.36 * min(len(by_value(rows, spec.x)), MOST_NAMES)


def draw_intervals(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw a mark and an interval for each name, its null as a grey bar behind."""
    names = names_in(rows, spec.x, MOST_NAMES)
    series = _series(rows, spec, places)
    for place, _, own in series:
        shift = 0.5 * ((place + 0.5) / len(places) - 0.5)
        known = [row for row in own if row[spec.x] in names]
        heights = [names.index(row[spec.x]) + shift for row in known]
        for height, row in zip(heights, known, strict=True):
            _null_bar(axes, height, row, spec, 0.36 / len(places))
            low, high = _ends(row, spec.low, spec.high)
            axes.plot([low, high], [height, height], color=COLOURS[place], linewidth=1.6, zorder=2)
        axes.plot(
            [row[spec.y] for row in known], heights, linestyle="", marker=MARKERS[place],
            color=COLOURS[place], markersize=6, zorder=3,
        )  # fmt: skip
    _name_rows(axes, names)
    return [(_mark(place), name) for place, name, _ in series]


def draw_lines(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw y over x, intervals as bands of the colour, nulls as grey bands."""
    return _curves(axes, rows, spec, places, "default")


def draw_steps(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw y over x as a function that jumps: survival, counts."""
    return _curves(axes, rows, spec, places, "steps-post")


def draw_points(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw a mark for each row."""
    series = _series(rows, spec, places)
    for place, _, own in series:
        axes.plot(
            [row[spec.x] for row in own], [row[spec.y] for row in own], linestyle="",
            marker=MARKERS[place], color=COLOURS[place], markersize=4, alpha=0.7,
            markeredgewidth=0, rasterized=len(own) > 5000,
        )  # fmt: skip
    return [(_mark(place), name) for place, name, _ in series]


def draw_distributions(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw where values lie for each name: every one as a tick, quartiles as a bar, the median."""
    found = dict(list(by_value(rows, spec.x).items())[:MOST_NAMES])
    for height, own in enumerate(found.values()):
        values = np.array([row[spec.y] for row in own], float)
        _null_bar(axes, height, own[0], spec, 0.4)
        shown = values[np.linspace(0, len(values) - 1, min(len(values), 400)).astype(int)]
        axes.plot(
            np.sort(shown), np.full(len(shown), height), linestyle="", marker="|",
            color=COLOURS[0], alpha=0.4, markersize=11,
        )  # fmt: skip
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        axes.plot([low, high], [height, height], color="black", linewidth=3, zorder=3)
        axes.plot(middle, height, "o", color="white", markeredgecolor="black", zorder=4)
    _name_rows(axes, list(found))
    return []


def draw_bars(axes: Any, rows: Rows, spec: FigureSpec, places: Places) -> Handles:
    """Draw lengths for each name; those of several series are stacked, told apart by hatching."""
    names = names_in(rows, spec.x, MOST_NAMES)
    series = _series(rows, spec, places)
    ends = np.zeros(len(names))
    for place, name, own in series:
        lengths = np.zeros(len(names))
        for row in own:
            if row[spec.x] in names:
                lengths[names.index(row[spec.x])] += row[spec.y]
        axes.barh(
            np.arange(len(names)), lengths, left=ends, height=0.62, color=COLOURS[place],
            hatch=HATCHES[place], edgecolor="white", linewidth=0.6, label=label(name),
        )  # fmt: skip
        ends += lengths
    _name_rows(axes, names)
    return [(bars, name) for bars, (_, name, _) in zip(axes.containers, series, strict=True)]


def name_axes(axes: Any, spec: FigureSpec, quantities: Mapping[str, Quantity]) -> None:
    """Write what the axes mean and their units; draw the line of reference."""
    if spec.form == "heatmap":  # its names speak for themselves, and a bar tells of its shades
        return
    is_across = spec.form in HORIZONTAL
    if is_across:
        axes.set_xlabel(meaning(quantities[spec.y]), parse_math=False)
    else:
        # An axis upwards is short, and what is longer than it is cut off at the figure's edge.
        axes.set(xlabel=meaning(quantities[spec.x]), ylabel=meaning(quantities[spec.y], 26))
        unparsed(axes.xaxis.label, axes.yaxis.label)
        if quantities[spec.x].unit == "states":  # there is none between two of them
            axes.xaxis.get_major_locator().set_params(integer=True)
    if spec.reference is not None:
        line = axes.axvline if is_across else axes.axhline
        line(spec.reference, color="0.35", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for axis in spec.log:
        scale = axes.set_xscale if (axis == "x") != is_across else axes.set_yscale
        scale("log")


def meaning(quantity: Quantity, width: int = 38) -> str:
    """Return what a column means and its unit, as a label."""
    # What a missing number means is the table's to say; rows without one are not drawn.
    means = re.split(r"[,;] null: ", quantity.meaning)[0]
    # "states since the first (states)" says it twice.
    is_said = quantity.unit in ("", "1") or quantity.unit in means
    return label(means if is_said else f"{means} ({quantity.unit})", width)


def places_of(rows: Rows, spec: FigureSpec) -> dict[Any, int]:
    """Return the place of each series that is shown."""
    return {name: place for place, name in enumerate(names_in(rows, spec.series, MOST_SERIES))}


def names_in(rows: Rows, column: str, most: int) -> list[Any]:
    """Return a column's first values: in order where they are numbers, else as they appear."""
    found = list(by_value(rows, column))
    is_numbers = all(isinstance(name, int | float) for name in found)
    return (sorted(found) if is_numbers else found)[:most]


def _series(rows: Rows, spec: FigureSpec, places: Places) -> list[tuple[int, Any, Rows]]:
    own = by_value(rows, spec.series)
    return [(place, name, own[name]) for name, place in places.items() if name in own]


def _curves(axes: Any, rows: Rows, spec: FigureSpec, places: Places, drawstyle: str) -> Handles:
    step = "post" if drawstyle == "steps-post" else None
    series = _series(rows, spec, places)
    handles = []
    for place, name, own in series:
        own = sorted(own, key=lambda row: row[spec.x])
        x = [row[spec.x] for row in own]
        bands = ((spec.null_low, spec.null_high, NULL_COLOUR, 0.6, 1),
                 (spec.low, spec.high, COLOURS[place], 0.18, 2))  # fmt: skip
        for low, high, colour, alpha, order in bands:
            if low and high:
                ends = np.array([_ends(row, low, high) for row in own], float).T
                axes.fill_between(x, *ends, color=colour, alpha=alpha, step=step, linewidth=0,
                                  zorder=order)  # fmt: skip
        (line,) = axes.plot(
            x, [row[spec.y] for row in own], color=COLOURS[place],
            linestyle=DASHES[place % len(DASHES)], drawstyle=drawstyle, zorder=3,
            marker=MARKERS[place], markersize=4, markevery=max(1, len(own) // 12),
        )  # fmt: skip
        handles.append((line, name))
    return handles


def _ends(row: Mapping[str, Any], low: str, high: str) -> tuple[float, float]:
    ends = [row[name] if name else None for name in (low, high)]
    return (math.nan if ends[0] is None else ends[0]), (math.nan if ends[1] is None else ends[1])


def _null_bar(
    axes: Any, height: float, row: Mapping[str, Any], spec: FigureSpec, half: float
) -> None:
    low, high = _ends(row, spec.null_low, spec.null_high)
    if low == low and high == high:
        axes.fill_betweenx(
            [height - half, height + half], low, high, color=NULL_COLOUR, linewidth=0, zorder=0
        )


def _name_rows(axes: Any, names: Sequence[Any]) -> None:
    ticks = axes.set_yticks(range(len(names)), [label(name, 36) for name in names])
    unparsed(*(tick.label1 for tick in ticks))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color="0.92", zorder=0)
    axes.set_axisbelow(True)


def _mark(place: int) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", marker=MARKERS[place], color=COLOURS[place])
