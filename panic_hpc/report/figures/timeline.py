"""The timeline of shards: a lane a node, a bar a shard, told apart by stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.report.figures.drawing import DrawnFigure
from panic_hpc.report.figures.style import (
    COLOURS,
    HATCHES,
    figure_bytes,
    label,
    new_figure,
    styled,
    unparsed,
)

MOST_LANES = 40
TIMELINE = FigureSpec(
    name="timeline",
    table="timeline",
    form="bars",
    title="When and where shards were made",
    caption="A bar is a shard's last attempt, a lane a node; shards that a node made at one time "
    "lie above each other.",
    x="node",
    y="started",
    series="stage",
)
_UNITS = ((48 * 3600.0, 24 * 3600.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "min"))


@dataclass(frozen=True, slots=True)
class TimelineBar:
    """A shard as the timeline shows it; times in seconds of any one clock."""

    node: str
    stage: str
    started: float
    ended: float


def draw_timeline(bars: Sequence[TimelineBar]) -> DrawnFigure:
    """Draw when each shard was made and where; at most 40 nodes, those with most shards.

    Times are counted from the first beginning. `bars` must not be empty.
    """
    began = min(bar.started for bar in bars)
    scale, unit = _unit(max(bar.ended for bar in bars) - began)
    lanes = _lanes(bars)
    with styled():
        figure = new_figure(8.0, 1.2 + 0.42 * len(lanes))
        axes = figure.subplots()
        stages = list(dict.fromkeys(bar.stage for bar in bars))
        for place, node in enumerate(lanes):
            _draw_lane(axes, place, [bar for bar in bars if bar.node == node], stages, began, scale)
        _label(axes, lanes, stages, unit)
        png, pdf = figure_bytes(figure, "png"), figure_bytes(figure, "pdf")
    shown = sum(bar.node in lanes for bar in bars)
    return DrawnFigure(TIMELINE, png, pdf, _numbers(bars, began), len(bars) - shown)


def _unit(seconds: float) -> tuple[float, str]:
    return next(((scale, unit) for least, scale, unit in _UNITS if seconds >= least), (1.0, "s"))


def _lanes(bars: Sequence[TimelineBar]) -> list[str]:
    counts: dict[str, int] = {}
    for bar in bars:
        counts[bar.node] = counts.get(bar.node, 0) + 1
    busiest = sorted(counts, key=lambda node: (-counts[node], node))[:MOST_LANES]
    return sorted(busiest)


def rows_of(bars: Sequence[TimelineBar]) -> list[int]:
    """Return for each bar, in order of beginning, the first row in which nothing is in its way."""
    ends: list[float] = []
    rows = []
    for bar in bars:
        row = next((r for r, end in enumerate(ends) if end <= bar.started), len(ends))
        ends[row : row + 1] = [bar.ended]
        rows.append(row)
    return rows


def _draw_lane(
    axes: Any,
    place: int,
    bars: Sequence[TimelineBar],
    stages: Sequence[str],
    began: float,
    scale: float,
) -> None:
    ordered = sorted(bars, key=lambda bar: bar.started)
    rows = rows_of(ordered)
    height = 0.8 / (max(rows) + 1)
    spans: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for bar, row in zip(ordered, rows, strict=True):
        span = ((bar.started - began) / scale, (bar.ended - bar.started) / scale)
        spans.setdefault((bar.stage, row), []).append(span)
    for (stage, row), own in spans.items():
        number = stages.index(stage)
        axes.broken_barh(
            own, (place - 0.4 + row * height, height * 0.9),
            facecolor=COLOURS[number % len(COLOURS)], hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip


def _label(axes: Any, lanes: Sequence[str], stages: Sequence[str], unit: str) -> None:
    from matplotlib.patches import Patch

    ticks = axes.set_yticks(range(len(lanes)), [label(node) for node in lanes])
    unparsed(*(tick.label1 for tick in ticks))
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_xlabel(f"time since the first shard began ({unit})")
    patches = [
        Patch(facecolor=COLOURS[i % len(COLOURS)], hatch=HATCHES[i % len(HATCHES)], edgecolor="w")
        for i in range(len(stages))
    ]
    legend = axes.legend(patches, [label(s) for s in stages], ncols=4, loc="lower left",
                         bbox_to_anchor=(0, 1.0), fontsize=8)  # fmt: skip
    unparsed(*legend.get_texts())


def _numbers(bars: Sequence[TimelineBar], began: float) -> ResultTable:
    columns = (
        Quantity("node", "node", ""),
        Quantity("stage", "stage", ""),
        Quantity("started", "since the first shard began", "s"),
        Quantity("ended", "since the first shard began", "s"),
    )
    rows = [(b.node, b.stage, round(b.started - began, 3), round(b.ended - began, 3)) for b in bars]
    return ResultTable.of_rows("timeline", "shard", columns, rows)
