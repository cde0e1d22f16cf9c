"""A contact sheet: a row a run, a column a step, each picture with its caption beneath.

Takes plain arrays, pictures and strings, never the dataset.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.files import replace_file
from panic_hpc.errors import PanicError

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL = 128
GAP = 10
FONT_SIZE = 11
LINE = 14
CAPTION_LINES = 7
TITLE_WIDTH = 190
HEADER = 26
HEADER_LINES = 6
INK, FADED, PALE, PAPER = (26, 26, 26), (130, 130, 130), (190, 190, 190), (255, 255, 255)
PALENESS = 0.7
# Not within numbers.
_DOTTED = re.compile(r"(?<=\.)(?=[A-Za-z])")


@dataclass(frozen=True)
class Cell:
    """A picture of a run and the caption that belongs beneath it; either may be missing.

    `image` is an (H, W, 3) uint8 array or a Pillow image. A cell with `repeats` was never made: the
    run was in a loop, and would have shown the picture of that step again; it is drawn pale.
    """

    step: int
    image: "NDArray[np.uint8] | Image | None" = None
    caption: str = ""
    repeats: int | None = None


@dataclass(frozen=True)
class Strip:
    """A row of a contact sheet: a run's title and its cells in step order."""

    title: str
    cells: Sequence[Cell]


def contact_sheet(
    strips: Sequence[Strip],
    path: Path,
    *,
    most_columns: int = 10,
    thumbnail: int = THUMBNAIL,
    names: Sequence[str] = (),
) -> Path:
    """Write a PNG with a row a run and a column a step, captions beneath the pictures.

    Where there are more than `most_columns` steps every n-th is shown, n the least that fits; the
    header says which, or has `names` for columns that are no steps (`Cell.step` then is a column's
    number). Small pictures are enlarged without smoothing. Raises PanicError where there is nothing
    to show.
    """
    steps = sorted({cell.step for strip in strips for cell in strip.cells})
    if not steps:
        raise PanicError("a contact sheet of no pictures was asked for", hint="run some steps")
    shown = every_nth(steps, most_columns)
    heights = [_strip_height(strip, shown, thumbnail) for strip in strips]
    heads = [
        wrapped(names[step] if names else f"step {step}", thumbnail, HEADER_LINES) for step in shown
    ]
    top = HEADER + LINE * (max(map(len, heads)) - 1)
    sheet = blank_sheet(
        TITLE_WIDTH + len(shown) * (thumbnail + GAP) + GAP, top + sum(heights) + GAP
    )
    for column, lines in enumerate(heads):
        write_lines(sheet, lines, _left_of(column, thumbnail), 6)
    for strip, height in zip(strips, heights, strict=True):
        _draw_strip(sheet, strip, shown, top, thumbnail)
        top += height
    return save_sheet(sheet, path)


def every_nth(steps: Sequence[int], most: int) -> list[int]:
    """Return every n-th of the steps from the first on, with the least n that leaves `most`."""
    return list(steps)[:: max(1, math.ceil(len(steps) / most))]


def wrapped(text: str, width: int, most_lines: int) -> list[str]:
    """Break a text into lines of at most `width` pixels; what does not fit ends in an ellipsis.

    Lines end at blanks, and in words that are too long behind dots, as names of cells have them.
    """
    lines: list[str] = []
    for gap, word in _pieces(text, width):
        if lines and _text_width(f"{lines[-1]}{gap}{word}") <= width:
            lines[-1] += f"{gap}{word}"
        else:
            lines.append(_cut(word, width))
    if len(lines) <= most_lines:
        return lines
    return [*lines[: most_lines - 1], _cut(lines[most_lines - 1] + "…" * 2, width)]


def _pieces(text: str, width: int) -> Iterator[tuple[str, str]]:
    """Yield what a line may end before, and what stands between it and what is before it."""
    for word in text.split():
        is_long = _text_width(word) > width
        for place, piece in enumerate(_DOTTED.split(word) if is_long else [word]):
            yield "" if place else " ", piece


def _cut(word: str, width: int) -> str:
    """Return the word, or as much of it as fits with an ellipsis."""
    if _text_width(word) <= width and not word.endswith("……"):
        return word
    word = word.rstrip("…")
    while word and _text_width(word + "…") > width:
        word = word[:-1]
    return word + "…"


@cache
def _font() -> Any:
    """Return DejaVu Sans out of matplotlib's own data: Pillow's font knows no arrow and no dash."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    # matplotlib is there wherever pictures are drawn; a font of our own would be one more file and
    # licence.
    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), FONT_SIZE)


def _text_width(text: str) -> float:
    return float(_font().getlength(text))


def blank_sheet(width: int, height: int) -> "Image":
    """Return a white picture."""
    from PIL import Image

    return Image.new("RGB", (width, height), PAPER)


def save_sheet(sheet: "Image", path: Path) -> Path:
    """Write a picture as PNG, whole or not at all; return where."""
    # Through memory, so that replace_file publishes it whole: a report is looked at while it is
    # redrawn.
    stream = io.BytesIO()
    sheet.save(stream, format="PNG")
    replace_file(path, stream.getvalue())
    return path


def _strip_height(strip: Strip, shown: Sequence[int], thumbnail: int) -> int:
    captions = [_beneath(cell)[0] for cell in strip.cells if cell.step in shown]
    lines = max((len(wrapped(c, thumbnail, CAPTION_LINES)) for c in captions), default=0)
    title = len(wrapped(strip.title, TITLE_WIDTH - 2 * GAP, 20)) * LINE
    return max(thumbnail + 4 + lines * LINE, title) + GAP


def write_lines(
    sheet: "Image",
    lines: Sequence[str],
    left: int,
    top: int,
    ink: tuple[int, int, int] = INK,
) -> None:
    """Write lines of text below each other, the first one at `top`."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(sheet)
    for i, line in enumerate(lines):
        pen.text((left, top + i * LINE), line, font=_font(), fill=ink)


def _left_of(column: int, thumbnail: int) -> int:
    return TITLE_WIDTH + GAP + column * (thumbnail + GAP)


def _draw_strip(
    sheet: "Image", strip: Strip, shown: Sequence[int], top: int, thumbnail: int
) -> None:
    write_lines(sheet, wrapped(strip.title, TITLE_WIDTH - 2 * GAP, 20), GAP, top)
    cells = {cell.step: cell for cell in strip.cells}
    for column, step in enumerate(shown):
        left = _left_of(column, thumbnail)
        cell = cells.get(step, Cell(step))
        _draw_picture(sheet, cell, left, top, thumbnail)
        below, ink = _beneath(cell)
        caption = wrapped(below, thumbnail, CAPTION_LINES)
        write_lines(sheet, caption, left, top + thumbnail + 4, ink)


def _beneath(cell: Cell) -> tuple[str, tuple[int, int, int]]:
    """Return what is written beneath a picture, and its colour."""
    if cell.repeats is None:
        return cell.caption, INK
    return f"as at step {cell.repeats}", FADED


def _draw_picture(sheet: "Image", cell: Cell, left: int, top: int, thumbnail: int) -> None:
    """Paste the picture in the middle of its place, with a hairline: a white one has no edge."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(sheet)
    x, y = left + thumbnail // 2, top + thumbnail // 2
    if cell.image is None:
        pen.text((x, y), "-", font=_font(), fill=PALE, anchor="mm")
        return
    picture = fitted(cell.image, thumbnail)
    if cell.repeats is not None:
        picture = _paled(picture)
    x, y = x - picture.width // 2, y - picture.height // 2
    sheet.paste(picture, (x, y))
    # Outside the picture, so that none of its pixels is covered.
    pen.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=PALE)


def _paled(picture: "Image") -> "Image":
    from PIL import Image as Pillow

    return Pillow.blend(picture, Pillow.new("RGB", picture.size, PAPER), PALENESS)


def fitted(image: "NDArray[np.uint8] | Image", side: int) -> "Image":
    """Return the picture within side x side: whole multiples up, smoothed down."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image) if isinstance(image, np.ndarray) else image
    picture = picture.convert("RGB")
    longest = max(picture.size)
    # thumbnail keeps the aspect and never enlarges.
    if longest > side:
        picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
        return picture
    # Whole multiples: a pixel of a 32 by 32 picture stays a square.
    factor = side // longest
    return picture.resize(
        (picture.width * factor, picture.height * factor), Pillow.Resampling.NEAREST
    )
