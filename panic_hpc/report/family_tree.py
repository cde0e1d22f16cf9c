"""A family tree: a row a generation, each individual's picture, lines to its parents above it.

Takes plain values, never a series or a dataset.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.plain_text import counted, one_line
from panic_hpc.report.contact_sheet import (
    GAP,
    LINE,
    PALE,
    blank_sheet,
    fitted,
    save_sheet,
    wrapped,
    write_lines,
)
from panic_hpc.report.figures.style import COLOURS

LARGEST, SMALLEST = 128, 32
WIDEST = 6000
"""Pixels of a tree; pictures become smaller before it is refused."""
BETWEEN_ROWS = 44
TEXT_LINES = 4
SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a tree: its row, the oldest at 0, and its parents' ids, who are in rows above.

    `image` is an (H, W, 3) uint8 array, None for nobody's picture; `beneath` is written below it.
    """

    id: str
    row: int
    parents: tuple[str, ...] = ()
    beneath: str = ""
    image: NDArray[np.uint8] | None = None


def family_tree(members: Sequence[Member], path: Path) -> Path:
    """Write a PNG of a family, the oldest on top; PanicError where it is too wide to be seen."""
    rows = ordered_rows(members)
    most = max(map(len, rows))
    side = min(LARGEST, WIDEST // most - GAP)
    if side < SMALLEST:
        raise PanicError(
            f"{counted(most, 'individual')} of one generation do not fit into a picture",
            hint="Ask for fewer generations, or for a .graphml, which other programs draw",
        )
    width = max(most, 2) * (side + GAP) + GAP
    height = side + TEXT_LINES * LINE + 4
    sheet = blank_sheet(width, len(rows) * (height + BETWEEN_ROWS) - BETWEEN_ROWS + 2 * GAP)
    centres = _centres(rows, width, side)
    tops = {one.id: GAP + k * (height + BETWEEN_ROWS) for k, row in enumerate(rows) for one in row}
    _draw_lines(sheet, members, centres, tops, side)
    for one in members:
        _draw_member(sheet, one, round(centres[one.id]), tops[one.id], side)
    return save_sheet(sheet, path)


def ordered_rows(members: Sequence[Member]) -> list[list[Member]]:
    """Return the rows of a tree, each in an order in which few lines cross.

    Barycentres (Sugiyama, Tagawa and Toda 1981): everybody is drawn to the mean place of parents on
    the way down and of children on the way up, by turns; the order with fewest crossings is kept.
    """
    by_row: dict[int, list[Member]] = {}
    for one in members:
        by_row.setdefault(one.row, []).append(one)
    rows = [by_row[row] for row in sorted(by_row)]
    children: dict[str, list[str]] = {one.id: [] for one in members}
    parents = {one.id: [p for p in one.parents if p in children] for one in members}
    for one in members:
        for parent in parents[one.id]:
            children[parent].append(one.id)
    best, fewest = rows, _n_crossings(rows, parents)
    for sweep in range(SWEEPS):
        is_down = sweep % 2 == 0
        rows = _pulled(rows if is_down else rows[::-1], parents if is_down else children)
        rows = rows if is_down else rows[::-1]
        crossings = _n_crossings(rows, parents)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _pulled(rows: Sequence[list[Member]], towards: Mapping[str, list[str]]) -> list[list[Member]]:
    place: dict[str, float] = {}
    found = []
    for row in rows:
        own = {one.id: k / max(1, len(row) - 1) for k, one in enumerate(row)}
        pull = {
            one.id: np.mean([place[k] for k in near])
            if (near := [k for k in towards[one.id] if k in place])
            else own[one.id]
            for one in row
        }
        ordered = sorted(row, key=lambda one: (pull[one.id], own[one.id]))
        place |= {one.id: k / max(1, len(row) - 1) for k, one in enumerate(ordered)}
        found.append(ordered)
    return found


def _n_crossings(rows: Sequence[Sequence[Member]], parents: Mapping[str, list[str]]) -> int:
    """Return how many pairs of lines between neighbouring rows cross."""
    total = 0
    for above, below in pairwise(rows):
        place = {one.id: k for k, one in enumerate(above)}
        lines = np.array(
            [
                (place[parent], k)
                for k, one in enumerate(below)
                for parent in parents[one.id]
                if parent in place
            ]
        ).reshape(-1, 2)
        gaps = lines[:, None, :] - lines[None, :, :]
        total += int((gaps[..., 0] * gaps[..., 1] < 0).sum()) // 2
    return total


def _centres(rows: Sequence[Sequence[Member]], width: int, side: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        step = (width - GAP) / len(row) if len(row) > 1 else 0
        step = min(step, 2 * (side + GAP))
        left = width / 2 - step * (len(row) - 1) / 2
        found |= {one.id: left + k * step for k, one in enumerate(row)}
    return found


def _draw_lines(
    sheet: Any,
    members: Sequence[Member],
    centres: Mapping[str, float],
    tops: Mapping[str, int],
    side: int,
) -> None:
    """Draw a line from each to each parent, in a colour a parent so that they can be followed."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(sheet)
    colour = {one.id: COLOURS[k % len(COLOURS)] for k, one in enumerate(members)}
    n_lines = {one.id: len(_words(one, side)) for one in members}
    for one in members:
        for parent in one.parents:
            if parent in centres:
                below = tops[parent] + side + 8 + LINE * n_lines[parent]
                end = (centres[one.id], tops[one.id] - 2)
                pen.line((centres[parent], below, *end), colour[parent], 2)


def _draw_member(sheet: Any, one: Member, centre: int, top: int, side: int) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(sheet)
    left = centre - side // 2
    box = (left - 1, top - 1, left + side, top + side)
    pen.rectangle(box, outline=PALE)
    if one.image is not None:
        picture = fitted(one.image, side)
        sheet.paste(
            picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2)
        )
    write_lines(sheet, _words(one, side), left, top + side + 4)


def _words(one: Member, side: int) -> list[str]:
    """Return what is written below a picture."""
    return [*wrapped(one_line(one.id), side, 1), *wrapped(one.beneath, side, TEXT_LINES - 1)]


def family_graphml(members: Sequence[Member], labels: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a family as GraphML, an edge from each parent to its child; `labels` are by id."""
    import networkx

    graph = networkx.DiGraph()
    for one in members:
        graph.add_node(one.id, round=one.row, **labels.get(one.id, {}))
    known = {one.id for one in members}
    graph.add_edges_from(
        (parent, one.id) for one in members for parent in one.parents if parent in known
    )
    stream = io.BytesIO()
    networkx.write_graphml(graph, stream)
    return stream.getvalue()
