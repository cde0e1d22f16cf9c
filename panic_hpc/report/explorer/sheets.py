"""Pictures of runs as sheets: one file a run, which a page on a disk can show without asking."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AwayError, ShardError
from panic_hpc.pictures.stored import WEBP_SIDE
from panic_hpc.report.contact_sheet import fitted

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

TILE = 128
MOST_A_SHEET = (WEBP_SIDE // TILE) ** 2
LOSSLESS_TILE = 64
"""Pictures of at most that many pixels a side stay as they are."""


@dataclass(frozen=True, slots=True)
class PictureSheet:
    """Where a run's pictures lie in its file: tiles of `tile` pixels, in rows of `columns`."""

    steps: Sequence[int]
    tile: int
    columns: int


def chosen_steps(dataset: "Dataset", runs: Sequence[int], most: int) -> Mapping[int, Sequence[int]]:
    """Return for each run the steps whose pictures are shown: every n-th, `most` in all."""
    steps = {run: dataset.image_steps(run) for run in runs} if most else {}
    steps = {run: own for run, own in steps.items() if own}
    total = sum(len(own) for own in steps.values())
    longest = max(map(len, steps.values()), default=0)
    every = max(1, math.ceil(total / max(most, 1)), math.ceil(longest / MOST_A_SHEET))
    found = {run: own[::every] for run, own in steps.items()}
    # At least one of each run may still be too many.
    return dict(list(found.items())[:most])


def draw_sheet(
    dataset: "Dataset", run: int, steps: Sequence[int]
) -> tuple[PictureSheet, bytes] | None:
    """Return where a run's pictures lie in a sheet, and that as WebP; None where none is readable.

    Pictures that are not as they are stored (a stranger's file may have such) are left out.
    AwayError where those that a dataset refers to are away.
    """
    read = [(step, pixels) for step in steps if (pixels := _pixels(dataset, run, step)) is not None]
    if not read:
        return None
    tile = min(TILE, max(max(pixels.shape[:2]) for _, pixels in read))
    sheet = PictureSheet([step for step, _ in read], tile, math.ceil(math.sqrt(len(read))))
    return sheet, _encoded(sheet, [pixels for _, pixels in read])


def _pixels(dataset: "Dataset", run: int, step: int) -> NDArray[np.uint8] | None:
    try:
        return dataset.image(run, step)
    except AwayError:
        raise
    except ShardError:
        return None


def _encoded(sheet: PictureSheet, pictures: Sequence[NDArray[np.uint8]]) -> bytes:
    from PIL import Image

    columns, tile = sheet.columns, sheet.tile
    rows = math.ceil(len(pictures) / columns)
    canvas = Image.new("RGB", (columns * tile, rows * tile), "white")
    for place, pixels in enumerate(pictures):
        picture = fitted(pixels, tile)
        left = place % columns * tile + (tile - picture.width) // 2
        top = place // columns * tile + (tile - picture.height) // 2
        canvas.paste(picture, (left, top))
    stream = io.BytesIO()
    if tile <= LOSSLESS_TILE:
        canvas.save(stream, "WEBP", lossless=True, quality=60, method=2)
    else:
        canvas.save(stream, "WEBP", quality=78, method=3)
    return stream.getvalue()
