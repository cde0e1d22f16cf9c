"""The figures of a report as files: PNG to look at, PDF to publish, CSV with the numbers."""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.records import AnalysisRecord, csv_bytes
from panic_hpc.analysis.results import ResultTable
from panic_hpc.disk.file_names import file_name
from panic_hpc.errors import PanicError
from panic_hpc.report.figures.drawing import DrawnFigure, draw
from panic_hpc.report.folder import ReportFolder
from panic_hpc.report.page.views import FigureGroup, FigureView, anchor_of, title_of
from panic_hpc.types import DIAGRAMS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

OF_RUNS = "The runs"
_PIXELS_PER_PIXEL = 1.6
"""Pixels of the file to a pixel of the page: sharp on dense screens."""
CONTACT_SHEET_CAPTION = "A row a run, a column a step; beneath each picture the caption made of it."
DIAGRAM_CAPTION = (
    "The run with most bars above dimension 0; areas grow with the number of equal bars."
)


class FigureFiles:
    """Draws figures into a report's folder; what cannot be drawn is kept with its reason."""

    def __init__(self, folder: ReportFolder) -> None:
        """Draw into `folder`."""
        self.groups: list[FigureGroup] = []
        self.undrawn: list[tuple[str, str]] = []
        self._folder = folder

    def draw(self, group: str, name: str, spec: FigureSpec, table: ResultTable) -> None:
        """Draw one figure under a heading, its files called `name`."""
        self.add(group, name, lambda: draw(spec, table))

    def add(self, group: str, name: str, drawn: Callable[[], DrawnFigure]) -> None:
        """Write what `drawn` gives, or keep why it gives nothing."""
        try:
            found = drawn()
        # A table or a specification may be another package's: a figure costs only itself.
        except Exception as error:
            self.undrawn.append((name, str(error) or type(error).__name__))
            return
        self._group(group).figures.append(self._write(file_name(name), found))

    def draw_analysis(self, record: AnalysisRecord, analysis: Analysis | None) -> None:
        """Draw the figures that an analysis declares, of what it found."""
        tables = {table.name: table for table in record.result.tables}
        for spec in analysis.figures if analysis and not record.error else ():
            name = f"{anchor_of(record).removeprefix('analysis-')}-{spec.name}"
            if spec.table in tables:
                group = f"{record.question} {title_of(record)}"
                self.draw(group, name, spec, tables[spec.table])
            else:
                self.undrawn.append((name, f"there is no table {spec.table!r}"))

    def draw_pictures(self, dataset: "Dataset") -> None:
        """Draw the contact sheet and the richest persistence diagram."""
        from panic_hpc.report import overview

        self._picture(
            FigureView("What runs looked like", CONTACT_SHEET_CAPTION, "contact_sheet.png", 0, 0),
            lambda path: overview.draw_contact_sheet(dataset, path),
        )
        for model in dataset.models_of(DIAGRAMS)[:1]:
            run = overview.richest_run(dataset, model)
            if run is None:
                self.undrawn.append(("persistence_diagram", "no run has a diagram"))
                continue
            pdf = self._folder.admit("persistence_diagram.pdf")
            overview.draw_persistence_diagram(dataset, run, model, pdf)
            bars = csv_bytes(overview.bars_table(dataset, run, model))
            csv = self._folder.write("persistence_diagram.csv", bars)
            links = [("PDF", pdf.name), ("CSV of its numbers", csv)]
            title = f"A persistence diagram, in {model}"
            self._picture(
                FigureView(title, DIAGRAM_CAPTION, "persistence_diagram.png", 0, 0, links),
                partial(overview.draw_persistence_diagram, dataset, run, model),
                _PIXELS_PER_PIXEL,
            )

    def _picture(
        self, view: FigureView, made: Callable[[Path], Path], per_pixel: float = 1.0
    ) -> None:
        path = self._folder.admit(view.png)
        try:
            made(path)
        except PanicError as error:
            self.undrawn.append((path.stem, str(error)))
            return
        width, height = _shown_size(path.read_bytes(), per_pixel)
        links = [("PNG", view.png), *view.links]
        self._group(OF_RUNS).figures.append(replace(view, width=width, height=height, links=links))

    def _group(self, title: str) -> FigureGroup:
        for group in self.groups:
            if group.title == title:
                return group
        self.groups.append(FigureGroup(title))
        return self.groups[-1]

    def _write(self, name: str, found: DrawnFigure) -> FigureView:
        write = self._folder.write
        png = write(f"figures/{name}.png", found.png)
        pdf = write(f"figures/{name}.pdf", found.pdf)
        csv = write(f"figures/{name}.csv", csv_bytes(found.numbers))
        width, height = _shown_size(found.png, _PIXELS_PER_PIXEL)
        spec = found.spec
        links = [("PNG", png), ("PDF", pdf), ("CSV of its numbers", csv)]
        return FigureView(spec.title, spec.caption, png, width, height, links, found.left_out)


def _shown_size(png: bytes, per_pixel: float) -> tuple[int, int]:
    width, height = png_size(png)
    return round(width / per_pixel), round(height / per_pixel)


def png_size(png: bytes) -> tuple[int, int]:
    """Return the width and height of a PNG, which its first chunk tells."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height
