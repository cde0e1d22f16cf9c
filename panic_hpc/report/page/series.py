"""The page of a series: values by round beside the control, diversity, the best, and their family.

Takes plain values; who bred them is of no concern here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.records import csv_bytes
from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.errors import PanicError
from panic_hpc.report.contact_sheet import Cell, Strip, contact_sheet
from panic_hpc.report.family_tree import Member, family_tree
from panic_hpc.report.folder import ReportFolder
from panic_hpc.report.page.figure_files import FigureFiles
from panic_hpc.report.page.tables import view
from panic_hpc.report.rendering import render
from panic_hpc.versions import own_version

PAGE = "series.html"
MOST_BEST = 24

OF_ROUNDS = (
    Quantity("round", "round (the founders' is 0)"),
    Quantity("mean", "of the values of the bred individuals"),
    Quantity("control", "the same, of those that were bred by chance alone"),
    Quantity("best", "value of the best bred individual"),
    Quantity("individual", "the best one", ""),
    Quantity("individuals", "that were bred"),
    Quantity("without a value", "of them"),
    Quantity("runs", "of both populations"),
    Quantity("failed", "runs without a value"),
    Quantity("silent", "expressions without a word, which had no run"),
    Quantity("loci", "loci that are on in somebody"),
    Quantity("likeness", "likeness of two individuals"),
)
OF_VALUES = (
    Quantity("round", "round (the founders' is 0)"),
    Quantity("population", "bred, bred by chance, or the best", ""),
    Quantity("value", "value"),
)
PROGRESS = FigureSpec(
    "progress", "values", "lines", "Values by round", "round", "value",
    "Mean over individuals of the bred population, of the control, whose parents were drawn by "
    "chance, and the best bred individual. What the control does too is not breeding's.",
    series="population",
)  # fmt: skip
LIKENESS = FigureSpec(
    "likeness", "rounds", "lines", "Likeness of individuals", "round", "likeness",
    "Mean Jaccard index of the loci of two individuals: 1 where all are alike, and breeding has "
    "nothing left to choose from but mutations.",
)  # fmt: skip
LOCI = FigureSpec(
    "loci", "rounds", "lines", "Loci that somebody has", "round", "loci",
    "Different loci that are on in at least one copy of a bred individual.",
)  # fmt: skip


@dataclass(frozen=True)
class BestOfRound:
    """The best individual of a round: what it said, its value as words, its picture."""

    number: int
    id: str
    value: str
    text: str
    image: NDArray[np.uint8] | None


@dataclass(frozen=True)
class SeriesTold:
    """What a page tells of a series.

    title, told: its name and what it is ranked by. key: of the series, so that a page of the same
    one is replaced. notes: what must be known, in sentences. rounds: rows of OF_ROUNDS by name.
    """

    title: str
    told: str
    key: str
    notes: Sequence[str]
    rounds: Sequence[Mapping[str, Any]]
    best: Sequence[BestOfRound]
    family: Sequence[Member]


def write_series_page(
    told: SeriesTold, directory: Path, inputs: Sequence[Path], *, force: bool = False
) -> Path:
    """Write a folder that needs nothing but a browser; return its first page.

    PanicError where it holds other things than a page of this series and `force` is not given.
    """
    folder = ReportFolder(directory, inputs, [told.key], force=force)
    table = ResultTable.of_rows("rounds", "round", OF_ROUNDS, told.rounds)
    files = FigureFiles(folder)
    files.draw("Progress", "progress", PROGRESS, _values(told.rounds))
    files.draw("Diversity", "likeness", LIKENESS, table)
    files.draw("Diversity", "loci", LOCI, table)
    pictures = [
        _picture(folder, files, "The best of each round", "best.png", "Values and words beneath",
                 lambda path: _best_sheet(told.best, path)),
        _picture(folder, files, "Family of the best", "tree.png", "The oldest ancestors on top",
                 lambda path: family_tree(told.family, path)),
    ]  # fmt: skip
    page = render(
        PAGE,
        "report.css",
        ["report.js"],
        title=told.title,
        told=told.told,
        notes=told.notes,
        figure_groups=files.groups,
        pictures=[one for one in pictures if one],
        table=view(table, folder.write("rounds.csv", csv_bytes(table)), "rounds", is_open=True),
        undrawn=files.undrawn,
    )
    return folder.finish(page, {"software": own_version()})


def _values(rounds: Sequence[Mapping[str, Any]]) -> ResultTable:
    series = {"bred": "mean", "by chance (control)": "control", "best bred": "best"}
    rows = [
        (one["round"], name, one[column])
        for name, column in series.items()
        for one in rounds
        if one[column] is not None
    ]
    return ResultTable.of_rows("values", "population and round", OF_VALUES, rows)


def _best_sheet(best: Sequence[BestOfRound], path: Path) -> Path:
    shown = best[-MOST_BEST:]
    cells = [
        Cell(k, one.image, f"{one.id} {one.value} {one.text}".strip())
        for k, one in enumerate(shown)
    ]
    names = [f"round {one.number}" for one in shown]
    return contact_sheet([Strip("best", cells)], path, most_columns=MOST_BEST, names=names)


def _picture(
    folder: ReportFolder,
    files: FigureFiles,
    title: str,
    name: str,
    caption: str,
    draw: Callable[[Path], Path],
) -> dict[str, str]:
    """Return a picture of the page, {} where it cannot be drawn, which is told."""
    try:
        draw(folder.admit(name))
    except PanicError as error:
        files.undrawn.append((title, str(error)))
        return {}
    return {"title": title, "href": name, "caption": caption}
