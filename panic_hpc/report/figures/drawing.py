"""From a figure's specification and its table to a drawn figure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.errors import PanicError
from panic_hpc.report.figures import forms, heatmap
from panic_hpc.report.figures.style import (
    NULL_COLOUR,
    figure_bytes,
    label,
    new_figure,
    styled,
    unparsed,
)

NULL_LABEL = "if there were nothing"
MOST_PANELS = 9
PANEL_COLUMNS = 3


@dataclass(frozen=True)
class DrawnFigure:
    """A figure ready to be written, with the numbers that it shows.

    left_out  rows that have no number where one is needed, or no room
    """

    spec: FigureSpec
    png: bytes
    pdf: bytes
    numbers: ResultTable
    left_out: int

    @property
    def has_null(self) -> bool:
        """Whether the band of what would be seen by chance is in it."""
        return bool(self.spec.null_low and self.spec.null_high)


@dataclass(frozen=True, slots=True)
class Form:
    """How a form is drawn.

    draw     from (axes, rows, specification, places of series) to what a legend says of series
    height   inches that rows of one panel need
    numeric  which of the specification's columns must be numbers
    finish   from (axes of all panels, specification, columns): what panels have in common
    """

    draw: Callable[[Any, forms.Rows, FigureSpec, forms.Places], forms.Handles]
    height: Callable[[forms.Rows, FigureSpec], float]
    numeric: tuple[str, ...] = ("y",)
    finish: Callable[[Sequence[Any], FigureSpec, Mapping[str, Quantity]], None] | None = None


FORMS: Mapping[str, Form] = {
    "intervals": Form(forms.draw_intervals, forms.height_of_names),
    "lines": Form(forms.draw_lines, forms.usual_height, ("x", "y")),
    "steps": Form(forms.draw_steps, forms.usual_height, ("x", "y")),
    "points": Form(forms.draw_points, forms.usual_height, ("x", "y")),
    "distributions": Form(forms.draw_distributions, forms.height_of_names),
    "bars": Form(forms.draw_bars, forms.height_of_names),
    "heatmap": Form(
        heatmap.draw_heatmap, heatmap.height_of_heatmap, ("value",), heatmap.share_shades
    ),
}


def draw(spec: FigureSpec, table: ResultTable) -> DrawnFigure:
    """Draw a figure; PanicError where the table lacks a column, or has no row that can be drawn."""
    if missing := [name for name in spec.columns if name not in table.data]:
        raise PanicError(f"The table {table.name} has no column {missing[0]!r}")
    form = FORMS[spec.form]
    needed = [getattr(spec, name) for name in form.numeric]
    kept = [row for row in _rows(table, spec) if all(_is_number(row[name]) for name in needed)]
    if not kept:
        raise PanicError(f"No row of the table {table.name} can be drawn")
    panels = _panels(kept, spec)
    with styled():
        figure = _drawn(form, spec, panels, forms.places_of(kept, spec), _quantities(table))
        shown = sum(len(rows) for _, rows in panels)
        png = figure_bytes(figure, "png")
        # Laid out once: the same for both, and half of the time.
        figure.set_layout_engine("none")
        pdf = figure_bytes(figure, "pdf")
    return DrawnFigure(spec, png, pdf, _numbers(table, spec), len(table) - shown)


def _rows(table: ResultTable, spec: FigureSpec) -> list[dict[str, Any]]:
    columns = [table.data[name] for name in spec.columns]
    return [dict(zip(spec.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _panels(rows: forms.Rows, spec: FigureSpec) -> Sequence[tuple[str, forms.Rows]]:
    if not spec.panels:
        return [("", rows)]
    found = forms.by_value(rows, spec.panels)
    return [(str(name), own) for name, own in found.items()][:MOST_PANELS]


def _drawn(
    form: Form,
    spec: FigureSpec,
    panels: Sequence[tuple[str, forms.Rows]],
    places: forms.Places,
    quantities: Mapping[str, Quantity],
) -> Any:
    # Two by two, for a fourth panel alone in its row leaves most of it empty.
    across = 2 if len(panels) == 4 else min(len(panels), PANEL_COLUMNS)
    down = math.ceil(len(panels) / across)
    height = max(form.height(rows, spec) for _, rows in panels)
    figure = new_figure(6.4 if across == 1 else 3.6 * across, height * down)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    handles: dict[Any, Any] = {}
    for axes, (name, rows) in zip(grid, panels, strict=False):
        for handle, series in form.draw(axes, rows, spec, places):
            handles.setdefault(series, handle)
        forms.name_axes(axes, spec, quantities)
        if name:
            # Half of a heatmap's panel is the names of its rows.
            width = 22 if spec.form == "heatmap" else 40
            unparsed(axes.set_title(label(name, width), loc="left"))
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    if form.finish:
        form.finish(grid, spec, quantities)
    _add_legend(figure, handles, spec)
    return figure


def _add_legend(figure: Any, handles: Mapping[Any, Any], spec: FigureSpec) -> None:
    """Name the series, where there are several, and the band of the null, below all panels."""
    from matplotlib.patches import Patch

    named = [(handle, label(name)) for name, handle in handles.items()] if len(handles) > 1 else []
    if spec.null_low and spec.null_high:
        named.append((Patch(color=NULL_COLOUR), NULL_LABEL))
    if named:
        widest = max(len(name) for _, name in named)
        across = max(1, int(figure.get_figwidth() * 14 / (widest + 8)))
        legend = figure.legend(
            *zip(*named, strict=True), loc="outside lower left", fontsize=8, ncols=across
        )
        unparsed(*legend.get_texts())
        if len(handles) > 1:
            # "0" and "1" alone would say nothing.
            legend.set_title(spec.series.replace("_", " "), prop={"size": 8})


def _quantities(table: ResultTable) -> dict[str, Quantity]:
    return {column.name: column for column in table.columns}


def _numbers(table: ResultTable, spec: FigureSpec) -> ResultTable:
    known = _quantities(table)
    columns = tuple(known[name] for name in spec.columns)
    return ResultTable(
        spec.name, table.rows, columns, {c.name: table.data[c.name] for c in columns}
    )
