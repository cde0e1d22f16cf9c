"""The scene reader: a deterministic judge that says which scene a picture shows.

It knows how scenes are drawn and nothing of the models: every pixel goes to the nearest colour of
the palette, and the layout and groups whose coverage differs from the foreground in the fewest
pixels are the reading. It always answers, so a smear is read as the wrong scene, not left out.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from panic_hpc.models.scene.drawing import SIDE, palette, templates
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

KINDS = len(COUNTS) * len(SIZES) * len(SHAPES)
NAMES = ("background", "layout", "count", "size", "colour", "shape")


def distances(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return each pixel's squared distance to the backgrounds, then the colours (N, 1024, 10)."""
    pixels = images.reshape(len(images), -1, 1, 3).astype(np.float32)
    return np.asarray(((pixels - palette(BACKGROUNDS + COLOURS)) ** 2).sum(-1))


def labels(distance: NDArray[np.float32], background: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the nearest object colour of each pixel (N, 1024), or -1 for the background.

    The other backgrounds do not compete: a pale edge of orange on black would else be brown.
    """
    own = np.take_along_axis(distance, background[:, None, None], axis=2)[..., 0]
    colours = distance[..., len(BACKGROUNDS) :]
    return np.where(own <= colours.min(-1), -1, colours.argmin(-1))


@cache
def covered() -> NDArray[np.float32]:
    """Return the pixels that each group covers by half, (place, kind, 32 * 32), 0 or 1."""
    masks = templates().reshape(len(PLACES), KINDS, SIDE * SIDE)
    return (masks >= 0.5).astype(np.float32)


def background_of(label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the most frequent background among nearest palette entries (N, 1024)."""
    votes = np.stack([(label == b).sum(-1) for b in range(len(BACKGROUNDS))], axis=-1)
    return np.asarray(votes.argmax(-1))


def fits(foreground: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the gain (N, place) and index (N, place) of the best group at every place.

    The gain is the number of pixels explained less those wrongly covered; gains at places that
    do not overlap add up, so the best pair is the pair of bests.
    """
    masks = covered().reshape(-1, SIDE * SIDE)
    gain = (2 * foreground - 1) @ masks.T
    gain = gain.reshape(len(foreground), len(PLACES), KINDS)
    return gain.max(-1), gain.argmax(-1)


def colour_of(label: NDArray[np.int64], mask: NDArray[np.float32]) -> int:
    """Return the most frequent object colour under a mask."""
    inside = label[mask > 0]
    votes = np.bincount(inside[inside >= 0], minlength=len(COLOURS))
    return int(votes.argmax())


def read(images: NDArray[np.uint8]) -> Rows:
    """Return the scenes (N, 10) that pictures (N, 32, 32, 3) show."""
    distance = distances(images)
    background = background_of(distance.argmin(-1))
    label = labels(distance, background)
    gain, kind = fits((label >= 0).astype(np.float32))
    places = [[PLACES.index(p) for p in layout] for layout in LAYOUTS]
    layout = np.stack([gain[:, p].sum(-1) for p in places], axis=-1).argmax(-1)
    rows = np.full((len(images), 10), -1)
    rows[:, 0], rows[:, 1] = background, layout
    for n, row in enumerate(rows):
        for i, place in enumerate(places[layout[n]]):
            count, size, shape = np.unravel_index(
                kind[n, place], (len(COUNTS), len(SIZES), len(SHAPES))
            )
            colour = colour_of(label[n], covered()[place, kind[n, place]])
            row[2 + 4 * i : 6 + 4 * i] = count, size, colour, shape
    return rows


def right(wanted: Rows, seen: Rows) -> dict[str, float]:
    """Return the share of attributes right, by name and over all.

    A group is looked for at its own place: where none is seen there, its four attributes are wrong.
    """
    hits: dict[str, list[bool]] = {name: [] for name in NAMES}
    for want, see in zip(wanted, seen, strict=True):
        hits["background"].append(want[0] == see[0])
        hits["layout"].append(want[1] == see[1])
        there = dict(zip(LAYOUTS[see[1]], (see[2:6], see[6:10]), strict=False))
        for i, place in enumerate(LAYOUTS[want[1]]):
            found = there.get(place, np.full(4, -1))
            for name, a, b in zip(NAMES[2:], want[2 + 4 * i : 6 + 4 * i], found, strict=True):
                hits[name].append(bool(a == b))
    shares = {name: float(np.mean(values)) for name, values in hits.items()}
    everything = [hit for values in hits.values() for hit in values]
    return {**shares, "all": float(np.mean(everything))}
