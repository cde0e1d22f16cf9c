"""A mosaic of runs painted at one step after another.

Takes titles, timelines and a function that gives pictures, never the dataset.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.report.contact_sheet import fitted
from panic_hpc.report.mosaic_layout import Layout, NetworkBand, Tile

if TYPE_CHECKING:
    from PIL.Image import Image

INK, FADED, LINE, PAPER = (240, 240, 240), (165, 165, 165), (70, 70, 70), (17, 17, 17)
DIMNESS = 0.55
# Steps are told by a bar too: numbers alone do not show how far it is.
LEGEND = "ring: goes on in its loop · square: has ended"

PictureOf = Callable[[int, int], "NDArray[np.uint8]"]
"""Gives the picture of (a run, a step that its timeline names)."""


def frames(
    bands: Sequence[NetworkBand],
    layout: Layout,
    steps: Sequence[int],
    picture_of: PictureOf,
    title: str = "",
) -> Iterator["Image"]:
    """Yield a frame for each of `steps`: the same image every time, painted further.

    A run that went on in a loop shows its loop dimmed, with a ring; one that ended its last picture
    dimmed, with a square; one that has no picture yet a dash.
    """
    frame = _blank(layout)
    tiles = [tile for band in bands for prompt in band.prompts for tile in prompt.tiles]
    painted: dict[int, tuple[int | None, str]] = {}
    for step in steps:
        for tile in tiles:
            state = tile.timeline.at(step)
            # Most of a mosaic stays as it is where runs are done.
            if painted.get(tile.run) != state:
                _paint(frame, layout, tile, state, picture_of)
                painted[tile.run] = state
        _paint_foot(frame, layout, step, steps[-1], title)
        yield frame


@cache
def _font(size: int) -> Any:
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _blank(layout: Layout) -> "Image":
    from PIL import Image, ImageDraw

    frame = Image.new("RGB", layout.size, PAPER)
    pen = ImageDraw.Draw(frame)
    for x, y, width, text, is_network in layout.titles:
        shown = cut(text, width, layout.font)
        pen.text((x, y), shown, font=_font(layout.font), fill=INK if is_network else FADED)
    return frame


def cut(text: str, width: int, size: int) -> str:
    """Return a text on one line, or as much of it as `width` pixels take, with an ellipsis."""
    font, line = _font(size), " ".join(text.split())
    if font.getlength(line[: width + 1]) <= width and len(line) <= width:
        return line
    # A pixel a letter at least: a prompt of 65,536 letters is not measured whole.
    low, high = 0, min(len(line), width)
    while low < high:
        middle = (low + high + 1) // 2
        fits = font.getlength(line[:middle] + "…") <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return line[:low].rstrip() + "…" if low else ""


def _paint(
    frame: "Image",
    layout: Layout,
    tile: Tile,
    state: tuple[int | None, str],
    picture_of: PictureOf,
) -> None:
    from PIL import ImageDraw

    (x, y), side = layout.tiles[tile.run], layout.side
    source, mark = state
    pen = ImageDraw.Draw(frame)
    pen.rectangle((x, y, x + side - 1, y + side - 1), fill=PAPER, outline=LINE)
    if source is None:
        middle = x + side // 2, y + side // 2
        pen.text(middle, "-", font=_font(layout.font), fill=FADED, anchor="mm")
    else:
        picture = _within(picture_of(tile.run, source), side, is_dim=bool(mark))
        frame.paste(picture, (x + (side - picture.width) // 2, y + (side - picture.height) // 2))
    _paint_mark(pen, (x + side, y + side), side, mark)
    if layout.has_labels:
        _paint_label(pen, layout, tile, mark)


def _within(pixels: "NDArray[np.uint8]", side: int, *, is_dim: bool) -> "Image":
    from PIL import Image

    picture = fitted(pixels, side)
    # Small pictures fill their square, though not by whole multiples where these leave a wide edge.
    if max(picture.size) < 0.8 * side:
        scale = side / max(picture.size)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.NEAREST)
    return Image.blend(picture, Image.new("RGB", picture.size, PAPER), DIMNESS * is_dim)


def _paint_mark(pen: Any, corner: tuple[int, int], side: int, mark: str) -> None:
    """Draw a ring or a square into the lower right corner; a dimmed picture may just be dark."""
    if not mark:
        return
    size, width = max(5, side // 8), max(1, side // 60)
    box = corner[0] - size - 2 * width, corner[1] - size - 2 * width
    box_of = (*box, box[0] + size, box[1] + size)
    draw = pen.ellipse if mark == "loop" else pen.rectangle
    draw(box_of, outline=INK, fill=PAPER, width=width)


def _paint_label(pen: Any, layout: Layout, tile: Tile, mark: str) -> None:
    (x, y), side = layout.tiles[tile.run], layout.side
    n_steps = tile.timeline.n_steps
    told = {"": "", "loop": " · loops", "ended": f" · ended after {n_steps} steps"}[mark]
    pen.rectangle((x, y + side, x + side - 1, y + side + round(layout.font * 1.3)), fill=PAPER)
    text = cut(tile.label + told, side, layout.font)
    pen.text((x, y + side + 1), text, font=_font(layout.font), fill=FADED)


def _paint_foot(frame: "Image", layout: Layout, step: int, last: int, title: str) -> None:
    from PIL import ImageDraw

    (width, height), font = layout.size, layout.font
    pen = ImageDraw.Draw(frame)
    line = math.ceil(font * 1.35)
    top = height - line - font // 2
    pen.rectangle((0, top - font // 2, width, height), fill=PAPER)
    share = 1.0 if last < 1 else step / last
    pen.rectangle((0, top - font // 2, width, top - font // 2 + 1), fill=LINE)
    pen.rectangle((0, top - font // 2, round(width * share), top - font // 2 + 1), fill=INK)
    pen.text((font, top), f"step {step} of {last}", font=_font(font), fill=INK)
    third = width // 3 - 2 * font
    middle = cut(title, third, font)
    pen.text((width // 2, top), middle, font=_font(font), fill=FADED, anchor="ma")
    legend = cut(LEGEND, third, font)
    pen.text((width - font, top), legend, font=_font(font), fill=FADED, anchor="ra")
