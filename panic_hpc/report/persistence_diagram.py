"""A persistence diagram as a picture: births across, deaths up, one colour a dimension.

Takes plain arrays, never the dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.files import replace_file
from panic_hpc.errors import PanicError
from panic_hpc.plain_text import plain
from panic_hpc.report.figures.style import COLOURS, MARKERS, figure_bytes, new_figure, styled

Bars = NDArray[np.floating[Any]]

SMALLEST_AREA = 22.0
MARGIN = 0.06
TITLE_CHARACTERS = 160


def persistence_diagram(dgms: Sequence[Bars], path: Path, *, title: str = "") -> Path:
    """Draw a persistence diagram: births across, deaths up, one colour and mark a dimension.

    `path` ends in .png or .pdf.

    `dgms[k]` is (n, 2) of birth and death in H_k. Equal bars are one point whose area grows with
    their number; bars that never die lie on a dashed line labelled ∞. Raises PanicError where a
    birth or death is not a number, or a birth is infinite.
    """
    # Beside large births float32 has no room for a margin.
    dgms = [np.asarray(bars, dtype=np.float64).reshape(-1, 2) for bars in dgms]
    _check(dgms)
    frame = frame_of(dgms)
    with styled():
        figure = new_figure(5, 5)
        axes = figure.add_subplot()
        _draw_frame(axes, frame, endless=any(np.isinf(bars).any() for bars in dgms))
        for dimension, bars in enumerate(dgms):
            _draw_bars(axes, dimension, bars, frame)
        _label(axes, title, empty=not any(len(bars) for bars in dgms))
        drawn = figure_bytes(figure, path.suffix[1:])
    replace_file(path, drawn)
    return path


@dataclass(frozen=True)
class Frame:
    """The square that both axes show, and the height at which infinite deaths are drawn."""

    low: float
    high: float
    infinity: float


def frame_of(dgms: Sequence[Bars]) -> Frame:
    """Return the square around every finite birth and death, with a margin; never of no width."""
    values = np.concatenate([np.ravel(bars) for bars in dgms] or [np.zeros(0)])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    # Relative: a diagram of one point, or of points equal but for rounding, gets a frame of its own
    # size.
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    margin = MARGIN * (high - low)
    return Frame(low - margin, high + 3 * margin, high + 2 * margin)


def multiplicities(bars: Bars) -> tuple[Bars, NDArray[np.int64]]:
    """Return the distinct bars (n, 2) and how often each occurs (n,)."""
    if not len(bars):
        return bars, np.zeros(0, dtype=np.int64)
    distinct, counts = np.unique(bars, axis=0, return_counts=True)
    return distinct, counts


def cut(title: str) -> str:
    """Return a title on one line, nothing hidden in it, cut to what fits above the axes."""
    line = plain(" ".join(title.split()))
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"


def _check(dgms: Sequence[Bars]) -> None:
    for dimension, bars in enumerate(dgms):
        if np.isnan(bars).any() or np.isinf(bars[:, 0]).any() or np.isneginf(bars[:, 1]).any():
            raise PanicError(
                f"the H{dimension} bars hold NaN, an infinite birth or a death at minus infinity",
                hint="look at the diagram's status and reason before drawing it",
            )


def _draw_frame(axes: Any, frame: Frame, *, endless: bool) -> None:
    ends = (frame.low, frame.high)
    axes.plot(ends, ends, linestyle="--", color="0.6", linewidth=1, zorder=1)
    if endless:
        axes.axhline(frame.infinity, linestyle="--", color="0.35", linewidth=1, zorder=1)
        axes.text(
            1.01, frame.infinity, "∞", transform=axes.get_yaxis_transform(), va="center", size=13
        )
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="birth", ylabel="death")


def _draw_bars(axes: Any, dimension: int, bars: Bars, frame: Frame) -> None:
    points, counts = multiplicities(bars)
    deaths = np.where(np.isinf(points[:, 1]), frame.infinity, points[:, 1])
    axes.scatter(
        points[:, 0],
        deaths,
        # Area and not radius: the eye compares areas.
        s=SMALLEST_AREA * counts,
        color=COLOURS[dimension % len(COLOURS)],
        marker=MARKERS[dimension % len(MARKERS)],
        alpha=0.7,
        linewidths=0.6,
        edgecolors="white",
        label=f"H$_{{{dimension}}}$ ({len(bars)})",
        zorder=2,
        # Births at 0 lie on the left edge, where half a point would be cut off.
        clip_on=False,
    )


def _label(axes: Any, title: str, *, empty: bool) -> None:
    # A prompt is in it: "$5 and $6" is no formula, and pages of text would leave no room for axes.
    axes.set_title(cut(title), size=10, wrap=True, parse_math=False)
    if axes.collections:
        legend = axes.legend(loc="lower right", frameon=False)
        for handle in legend.legend_handles:
            handle.set_sizes([SMALLEST_AREA])
    if empty:
        box = {"facecolor": "white", "edgecolor": "none"}
        axes.text(0.5, 0.5, "no bars", transform=axes.transAxes, ha="center", va="center", bbox=box)
