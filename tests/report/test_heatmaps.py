"""Heatmaps as a reader sees them: one scale, one bar, names that can be told apart."""

from typing import Any
from unittest.mock import patch

from panic_hpc.analysis import FigureSpec, Quantity, ResultTable
from panic_hpc.report.figures import drawing
from panic_hpc.report.figures.drawing import draw


def test_heatmaps_side_by_side_have_room_for_long_names() -> None:
    # Where there is none matplotlib warns, and warnings are errors.
    prompts = [f"{n} small yellow triangles at the top on a black background" for n in range(4)]
    columns = (
        *(Quantity(one, one, "") for one in ("network", "x", "y")),
        Quantity("v", "distance"),
    )
    rows = [(network, x, y, 0.5) for network in range(5) for x in prompts for y in prompts]
    table = ResultTable.of_rows("t", "pair", columns, rows)
    draw(FigureSpec("f", "t", "heatmap", "title", "x", "y", value="v", panels="network"), table)


def heatmap_of(values: list[list[float]]) -> Any:
    """Return the figure of a heatmap with a panel for each list of values."""
    columns = (*(Quantity(one, one, "") for one in ("network", "x", "y")), Quantity("v", "much"))
    rows = [(n, f"a long prompt {x}", "y", one) for n, own in enumerate(values)
            for x, one in enumerate(own)]  # fmt: skip
    table = ResultTable.of_rows("t", "pair", columns, rows)
    spec = FigureSpec("f", "t", "heatmap", "title", "x", "y", value="v", panels="network")
    with patch.object(drawing, "figure_bytes", lambda figure, kind: figure):
        return draw(spec, table).png


def test_the_panels_of_a_heatmap_share_one_scale_and_one_colour_bar() -> None:
    figure = heatmap_of([[0.1, 0.2], [0.3, 0.9]])
    *panels, bar = figure.axes
    assert [axes.images[0].get_clim() for axes in panels] == [(0.1, 0.9)] * 2
    assert bar.get_ylabel() == "much"
    names = [tick.get_text() for tick in panels[0].get_xticklabels()]
    assert names == ["a long …ompt 0", "a long …ompt 1"]


def test_shades_of_values_on_both_sides_of_zero_have_it_in_their_middle() -> None:
    figure = heatmap_of([[-0.2, 0.1], [0.1, 0.8]])
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(-0.8, 0.8)}
    assert figure.axes[0].images[0].get_cmap().name == "PuOr"
