"""What stands where in a mosaic: networks, in them prompts, in these runs, and runs in time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from panic_hpc.errors import PanicError

LEAST_SIDE, LEAST_FONT = 16, 8


@dataclass(frozen=True, slots=True)
class Timeline:
    """When a run has pictures and how it goes on after its last step.

    steps        those whose pictures were kept, ascending
    n_steps      how many steps it has
    loop_start   first step of the loop that ended it, -1 for none
    loop_length  steps in that loop
    """

    steps: tuple[int, ...]
    n_steps: int
    loop_start: int = -1
    loop_length: int = 0

    def at(self, step: int) -> tuple[int | None, str]:
        """Return (the step whose picture stands there then, "", "loop" or "ended")."""
        if step < self.n_steps:
            return self._last_before(step), ""
        if self.loop_length < 1:
            return self._last_before(step), "ended"
        kept = set(self.steps)
        for back in range(self.loop_length):
            source = self.loop_start + (step - back - self.loop_start) % self.loop_length
            if source in kept:
                return source, "loop"
        return self._last_before(step), "ended"

    def _last_before(self, step: int) -> int | None:
        place = int(np.searchsorted(self.steps, step, side="right"))
        return self.steps[place - 1] if place else None


@dataclass(frozen=True, slots=True)
class Tile:
    """A run in the mosaic: its number, the few words beneath it, and its timeline."""

    run: int
    label: str
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class PromptTiles:
    """A prompt and its runs in one network."""

    title: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class NetworkBand:
    """A network and its prompts."""

    title: str
    prompts: Sequence[PromptTiles]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands in a frame of `size`: squares of `side`, texts with their widths."""

    size: tuple[int, int]
    side: int
    font: int
    has_labels: bool
    tiles: Mapping[int, tuple[int, int]]
    titles: Sequence[tuple[int, int, int, str, bool]]


def lay_out(bands: Sequence[NetworkBand], size: tuple[int, int]) -> Layout:
    """Return the layout with the largest squares that fit into `size` (width, height).

    Letters are a sixtieth of its height, or smaller where there would be more titles than pictures.
    PanicError where there is no run, or squares would be smaller than 16 pixels.
    """
    n_tiles = sum(len(prompt.tiles) for band in bands for prompt in band.prompts)
    if not n_tiles:
        raise PanicError("A mosaic of no runs was asked for", hint="Choose another network")
    fonts = [max(LEAST_FONT, size[1] // part) for part in (60, 90, 120)]
    found = [layout for font in fonts if (layout := _largest(bands, size, font))]
    if not found:
        raise PanicError(
            f"{n_tiles} runs do not fit into {size[0]} by {size[1]} pixels",
            hint="Ask for more pixels (--size 8k), or for fewer runs (--network, --prompt)",
        )
    readable = [layout for layout in found if layout.side >= 6 * layout.font]
    return readable[0] if readable else max(found, key=lambda layout: layout.side)


def _largest(bands: Sequence[NetworkBand], size: tuple[int, int], font: int) -> Layout | None:
    best = _placed(bands, size, font, LEAST_SIDE)
    low, high = LEAST_SIDE, max(size)
    while best and high - low > 1:
        middle = (low + high) // 2
        found = _placed(bands, size, font, middle)
        low, high, best = (middle, high, found) if found else (low, middle, best)
    return best


@dataclass(frozen=True, slots=True)
class _Measures:
    """Of one try: the width that there is, the squares' side, and what stands between them."""

    width: int
    side: int
    font: int

    @property
    def gap(self) -> int:
        return max(2, self.side // 24)

    @property
    def line(self) -> int:
        return math.ceil(self.font * 1.35)

    @property
    def has_labels(self) -> bool:
        return self.side >= 6 * self.font

    @property
    def cell(self) -> tuple[int, int]:
        return self.side + self.gap, self.side + self.gap + self.line * self.has_labels


@dataclass(frozen=True, slots=True)
class _Box:
    """Things that stand together, placed from its own corner."""

    width: int
    height: int
    tiles: Mapping[int, tuple[int, int]]
    titles: Sequence[tuple[int, int, int, str, bool]]


def _placed(
    bands: Sequence[NetworkBand], size: tuple[int, int], font: int, side: int
) -> Layout | None:
    """Return the layout with squares of `side`, None where it does not fit; pure."""
    measures = _Measures(size[0] - 2 * font, side, font)
    if side > measures.width:
        return None
    networks = [_network_box(band, measures) for band in bands]
    whole = _flowing(networks, measures, 2 * font)
    if font + whole.height + 2 * measures.line > size[1]:
        return None
    tiles, titles = _moved(whole, font, font)
    return Layout(size, side, font, measures.has_labels, tiles, titles)


def _network_box(band: NetworkBand, measures: _Measures) -> _Box:
    inner = _flowing([_prompt_box(p, measures) for p in band.prompts], measures, measures.font)
    tiles, titles = _moved(inner, 0, measures.line)
    title = (0, 0, inner.width, band.title, True)
    height = inner.height + measures.line + measures.line // 2
    return _Box(inner.width, height, tiles, [title, *titles])


def _prompt_box(prompt: PromptTiles, measures: _Measures) -> _Box:
    (width, height), gap = measures.cell, measures.gap
    columns = min(len(prompt.tiles), (measures.width + gap) // width)
    tiles = {
        tile.run: (place % columns * width, measures.line + place // columns * height)
        for place, tile in enumerate(prompt.tiles)
    }
    own = columns * width - gap
    rows = math.ceil(len(prompt.tiles) / columns)
    return _Box(own, measures.line + rows * height, tiles, [(0, 0, own, prompt.title, False)])


def _flowing(boxes: Sequence[_Box], measures: _Measures, gap: int) -> _Box:
    """Return boxes side by side, in a new row where the width ends."""
    tiles: dict[int, tuple[int, int]] = {}
    titles: list[tuple[int, int, int, str, bool]] = []
    x = y = row_height = width = 0
    for box in boxes:
        if x and x + box.width > measures.width:
            x, y, row_height = 0, y + row_height, 0
        own_tiles, own_titles = _moved(box, x, y)
        tiles |= own_tiles
        titles += own_titles
        width = max(width, x + box.width)
        x, row_height = x + box.width + gap, max(row_height, box.height)
    return _Box(width, y + row_height, tiles, titles)


def _moved(box: _Box, x: int, y: int) -> tuple[dict[int, tuple[int, int]], list[Any]]:
    tiles = {run: (left + x, top + y) for run, (left, top) in box.tiles.items()}
    titles = [(left + x, top + y, *more) for left, top, *more in box.titles]
    return tiles, titles
