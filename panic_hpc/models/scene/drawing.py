"""Scenes to pictures: flat colours on a fixed grid, anti-aliased, 32 x 32."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from panic_hpc.models.scene.scenes import (
    BACKGROUNDS,
    COLOURS,
    COUNTS,
    LAYOUTS,
    PLACES,
    SHAPES,
    SIZES,
    Rows,
)

SIDE = 32
OVERSAMPLING = 4
RADIUS = (3, 5)
HALF_ARM = {3: 1, 5: 2}
OFFSETS = ((0,), (-6, 6), (-11, 0, 11))
ORIGIN = {
    "left": (8, 16),
    "right": (24, 16),
    "top": (16, 8),
    "bottom": (16, 24),
    "centre": (16, 16),
}
ALONG_Y = {"left", "right"}
RGB = {
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "black": (0, 0, 0),
    "brown": (110, 66, 30),
    "red": (226, 30, 36),
    "orange": (255, 145, 20),
    "yellow": (255, 236, 60),
    "green": (24, 158, 64),
    "blue": (36, 84, 226),
    "purple": (168, 50, 190),
}


def outline(shape: str, x: int, y: int, r: int) -> list[tuple[float, float]]:
    """Return the corners of a shape of radius r around (x, y); a circle is a 48-gon."""
    if shape == "circle":
        turn = np.arange(48) * (2 * np.pi / 48)
        return list(zip(x + r * np.cos(turn), y + r * np.sin(turn), strict=True))
    if shape == "square":
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "triangle":
        return [(x, y - r), (x + r, y + r), (x - r, y + r)]
    t = HALF_ARM[r]
    arm = [
        (-t, -r),
        (t, -r),
        (t, -t),
        (r, -t),
        (r, t),
        (t, t),
        (t, r),
        (-t, r),
        (-t, t),
        (-r, t),
        (-r, -t),
        (-t, -t),
    ]
    return [(x + a, y + b) for a, b in arm]


def coverage(place: str, count: int, size: int, shape: int) -> NDArray[np.float32]:
    """Return which part of each pixel (32, 32) a group covers, 0 to 1."""
    big = Image.new("L", (SIDE * OVERSAMPLING, SIDE * OVERSAMPLING))
    pen = ImageDraw.Draw(big)
    x0, y0 = ORIGIN[place]
    for offset in OFFSETS[count]:
        x, y = (x0, y0 + offset) if place in ALONG_Y else (x0 + offset, y0)
        corners = outline(SHAPES[shape], x, y, RADIUS[size])
        pen.polygon([(a * OVERSAMPLING, b * OVERSAMPLING) for a, b in corners], fill=255)
    shrunk = big.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(shrunk, dtype=np.float32) / np.float32(255)


@cache
def templates() -> NDArray[np.float32]:
    """Return the coverage of every group, (place, count, size, shape, 32, 32)."""
    kinds = (len(PLACES), len(COUNTS), len(SIZES), len(SHAPES))
    masks = [coverage(PLACES[p], c, s, h) for p, c, s, h in np.ndindex(*kinds)]
    return np.stack(masks).reshape(*kinds, SIDE, SIDE)


def palette(names: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the colours (n, 3) of the names, 0 to 255."""
    return np.array([RGB[name] for name in names], dtype=np.float32)


def paint(rows: Rows) -> NDArray[np.uint8]:
    """Return the pictures (N, 32, 32, 3) of scenes (N, 10)."""
    shape = (len(rows), SIDE, SIDE, 3)
    canvas = np.broadcast_to(palette(BACKGROUNDS)[rows[:, 0], None, None], shape).copy()
    places = np.array([[PLACES.index(p) for p in (*layout, layout[0])][:2] for layout in LAYOUTS])
    for i in range(2):
        here = np.flatnonzero(rows[:, 2 + 4 * i] >= 0)
        count, size, colour, form = rows[here, 2 + 4 * i : 6 + 4 * i].T
        alpha = templates()[places[rows[here, 1], i], count, size, form][..., None]
        canvas[here] += alpha * (palette(COLOURS)[colour][:, None, None] - canvas[here])
    return np.rint(canvas).astype(np.uint8)
