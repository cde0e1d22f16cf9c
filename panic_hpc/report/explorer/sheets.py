"""Pictures of runs as sheets: one file a run, which a page on a disk can show without asking."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from panic_hpc.report.contact_sheet import fitted

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

TILE = 128
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
    every = max(1, math.ceil(total / max(most, 1)))
    found = {run: own[::every] for run, own in steps.items()}
    # At least one of each run may still be too many.
    return dict(list(found.items())[:most])


def draw_sheet(dataset: "Dataset", run: int, steps: Sequence[int]) -> tuple[PictureSheet, bytes]:
    """Return a run's pictures as one WebP, and where each lies in it."""
    from PIL import Image

    pictures = [dataset.image(run, step) for step in steps]
    tile = min(TILE, max(max(picture.shape[:2]) for picture in pictures))
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * tile, rows * tile), "white")
    for place, pixels in enumerate(pictures):
        picture = fitted(pixels, tile)
        left = place % columns * tile + (tile - picture.width) // 2
        top = place // columns * tile + (tile - picture.height) // 2
        sheet.paste(picture, (left, top))
    stream = io.BytesIO()
    if tile <= LOSSLESS_TILE:
        sheet.save(stream, "WEBP", lossless=True, quality=60, method=2)
    else:
        sheet.save(stream, "WEBP", quality=78, method=3)
    return PictureSheet(list(steps), tile, columns), stream.getvalue()
