"""Pictures of a dataset, from plain arrays, pictures and strings: contact sheets, diagrams.

The only importer of matplotlib and, with the models, of Pillow.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.files import replace_file

if TYPE_CHECKING:
    from PIL.Image import Image

Bars = NDArray[np.floating[Any]]

THUMBNAIL = 128
GAP = 10
FONT_SIZE = 11
LINE = 14
CAPTION_LINES = 7
TITLE_WIDTH = 190
HEADER = 26
INK, PALE, PAPER = (26, 26, 26), (190, 190, 190), (255, 255, 255)

DIMENSION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
SMALLEST_AREA = 22.0
MARGIN = 0.06


@dataclass(frozen=True)
class Cell:
    """A picture of a run and the caption that belongs beneath it; either may be missing.

    `image` is an (H, W, 3) uint8 array or a Pillow image.
    """

    step: int
    image: "NDArray[np.uint8] | Image | None" = None
    caption: str = ""


@dataclass(frozen=True)
class Strip:
    """A row of a contact sheet: a run's title and its cells in step order."""

    title: str
    cells: Sequence[Cell]


def contact_sheet(
    strips: Sequence[Strip], path: Path, *, most_columns: int = 10, thumbnail: int = THUMBNAIL
) -> Path:
    """Write a PNG with a row a run and a column a step, captions beneath the pictures.

    Where there are more than `most_columns` steps every n-th is shown, n the least that fits; the
    header says which. Small pictures are enlarged without smoothing. Raises PanicError where
    there is nothing to show.
    """
    from PIL import Image

    steps = sorted({cell.step for strip in strips for cell in strip.cells})
    if not steps:
        raise PanicError("a contact sheet of no pictures was asked for", hint="run some steps")
    shown = every_nth(steps, most_columns)
    heights = [_strip_height(strip, shown, thumbnail) for strip in strips]
    width = TITLE_WIDTH + len(shown) * (thumbnail + GAP) + GAP
    sheet = Image.new("RGB", (width, HEADER + sum(heights) + GAP), PAPER)
    for column, step in enumerate(shown):
        _write_lines(sheet, [f"step {step}"], _left_of(column, thumbnail), 6)
    top = HEADER
    for strip, height in zip(strips, heights, strict=True):
        _draw_strip(sheet, strip, shown, top, thumbnail)
        top += height
    stream = io.BytesIO()
    sheet.save(stream, format="PNG")
    replace_file(path, stream.getvalue())
    return path


def every_nth(steps: Sequence[int], most: int) -> list[int]:
    """Return every n-th of the steps from the first on, with the least n that leaves `most`."""
    return list(steps)[:: max(1, math.ceil(len(steps) / most))]


def wrapped(text: str, width: int, most_lines: int) -> list[str]:
    """Break a text into lines of at most `width` pixels; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and _text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(_cut(word, width))
    if len(lines) <= most_lines:
        return lines
    return [*lines[: most_lines - 1], _with_ellipsis(lines[most_lines - 1], width)]


def _cut(word: str, width: int) -> str:
    """Return the word, or as much of it as fits with an ellipsis."""
    return word if _text_width(word) <= width else _with_ellipsis(word, width)


def _with_ellipsis(text: str, width: int) -> str:
    while text and _text_width(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def _font() -> Any:
    """Return DejaVu Sans out of matplotlib's own data: Pillow's font knows no arrow and no dash."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), FONT_SIZE)


def _text_width(text: str) -> float:
    return float(_font().getlength(text))


def _strip_height(strip: Strip, shown: Sequence[int], thumbnail: int) -> int:
    captions = [cell.caption for cell in strip.cells if cell.step in shown]
    lines = max((len(wrapped(c, thumbnail, CAPTION_LINES)) for c in captions), default=0)
    title = len(wrapped(strip.title, TITLE_WIDTH - 2 * GAP, 20)) * LINE
    return max(thumbnail + 4 + lines * LINE, title) + GAP


def _write_lines(sheet: "Image", lines: Sequence[str], left: int, top: int) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(sheet)
    for i, line in enumerate(lines):
        pen.text((left, top + i * LINE), line, font=_font(), fill=INK)


def _left_of(column: int, thumbnail: int) -> int:
    return TITLE_WIDTH + GAP + column * (thumbnail + GAP)


def _draw_strip(
    sheet: "Image", strip: Strip, shown: Sequence[int], top: int, thumbnail: int
) -> None:
    _write_lines(sheet, wrapped(strip.title, TITLE_WIDTH - 2 * GAP, 20), GAP, top)
    cells = {cell.step: cell for cell in strip.cells}
    for column, step in enumerate(shown):
        left = _left_of(column, thumbnail)
        cell = cells.get(step, Cell(step))
        _draw_picture(sheet, cell, left, top, thumbnail)
        caption = wrapped(cell.caption, thumbnail, CAPTION_LINES)
        _write_lines(sheet, caption, left, top + thumbnail + 4)


def _draw_picture(sheet: "Image", cell: Cell, left: int, top: int, thumbnail: int) -> None:
    """Paste the picture in the middle of its place, with a hairline: a white one has no edge."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(sheet)
    x, y = left + thumbnail // 2, top + thumbnail // 2
    if cell.image is None:
        pen.text((x, y), "-", font=_font(), fill=PALE, anchor="mm")
        return
    picture = _fitted(cell.image, thumbnail)
    x, y = x - picture.width // 2, y - picture.height // 2
    sheet.paste(picture, (x, y))
    pen.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=PALE)


def _fitted(image: "NDArray[np.uint8] | Image", side: int) -> "Image":
    """Return the picture within side x side: whole multiples up, smoothed down."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image) if isinstance(image, np.ndarray) else image
    picture = picture.convert("RGB")
    longest = max(picture.size)
    if longest > side:
        picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
        return picture
    factor = side // longest
    return picture.resize(
        (picture.width * factor, picture.height * factor), Pillow.Resampling.NEAREST
    )


def persistence_diagram(dgms: Sequence[Bars], path: Path, *, title: str = "") -> Path:
    """Write a PNG of a persistence diagram: births across, deaths up, one colour a dimension.

    `dgms[k]` is (n, 2) of birth and death in H_k. Equal bars are one point whose area grows with
    their number; bars that never die lie on a dashed line labelled ∞. Raises PanicError where a
    birth or death is not a number, or a birth is infinite.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    dgms = [np.asarray(bars, dtype=np.float64).reshape(-1, 2) for bars in dgms]
    _check(dgms)
    frame = frame_of(dgms)
    with rc_context(STYLE):
        figure = Figure(figsize=(5, 5), dpi=160, layout="constrained")
        axes = figure.add_subplot()
        _draw_frame(axes, frame, endless=any(np.isinf(bars).any() for bars in dgms))
        for dimension, bars in enumerate(dgms):
            _draw_bars(axes, dimension, bars, frame)
        _label(axes, title, empty=not any(len(bars) for bars in dgms))
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    replace_file(path, stream.getvalue())
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
        s=SMALLEST_AREA * counts,
        color=DIMENSION_COLOURS[dimension % len(DIMENSION_COLOURS)],
        alpha=0.7,
        linewidths=0.6,
        edgecolors="white",
        label=f"H$_{{{dimension}}}$ ({len(bars)})",
        zorder=2,
        clip_on=False,
    )


def _label(axes: Any, title: str, *, empty: bool) -> None:
    axes.set_title(title, size=10, wrap=True)
    if axes.collections:
        legend = axes.legend(loc="lower right", frameon=False)
        for handle in legend.legend_handles:
            handle.set_sizes([SMALLEST_AREA])
    if empty:
        box = {"facecolor": "white", "edgecolor": "none"}
        axes.text(0.5, 0.5, "no bars", transform=axes.transAxes, ha="center", va="center", bbox=box)
