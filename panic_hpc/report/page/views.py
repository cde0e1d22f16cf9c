"""What the first page shows of each analysis and each figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.records import AnalysisRecord
from panic_hpc.analysis.results import NotDone, Statement
from panic_hpc.report.page.tables import TableView


@dataclass(frozen=True, slots=True)
class FigureView:
    """A figure on the page: its picture, size in pixels of the page, and files to download."""

    title: str
    caption: str
    png: str
    width: int
    height: int
    links: Sequence[tuple[str, str]] = ()
    left_out: int = 0

    @property
    def is_tall(self) -> bool:
        """Whether it is shown in a window of its own, to be scrolled."""
        return self.height > 900

    @property
    def is_wide(self) -> bool:
        """Whether it takes the whole width."""
        return self.width > 700


@dataclass
class FigureGroup:
    """Figures below one heading."""

    title: str
    figures: list[FigureView] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AnalysisView:
    """An analysis' part of the page."""

    anchor: str
    title: str
    question: str
    asks: str
    units: str
    error: str
    statements: Sequence[Statement]
    not_done: Sequence[NotDone]
    tables: Sequence[TableView]


def variant(record: AnalysisRecord) -> str:
    """Return the key of a record's settings, "" for the usual ones."""
    # A model's own name holds no "@" here: file names that are made of data have none.
    return record.folder.name.partition("@")[2] if record.folder else ""


def title_of(record: AnalysisRecord) -> str:
    """Return what a record is called on the page."""
    model = f" in {record.model}" if record.model else ""
    own = f" with settings {variant(record)}" if variant(record) else ""
    return f"{record.analysis}{model}{own}"


def anchor_of(record: AnalysisRecord) -> str:
    """Return where on the page a record is."""
    return "-".join(filter(None, ("analysis", record.analysis, record.model, variant(record))))


def analysis_view(record: AnalysisRecord, tables: Sequence[TableView]) -> AnalysisView:
    """Return what the page shows of a record."""
    found = record.result
    units = ", ".join(f"{count:,} {what}" for what, count in found.n_units.items())
    return AnalysisView(
        anchor=anchor_of(record),
        title=title_of(record),
        question=record.question,
        asks=record.asks,
        units=f"It rests on {units}." if units else "",
        error=record.error,
        statements=found.statements,
        not_done=found.not_done,
        tables=tables,
    )


def in_order(
    records: Sequence[AnalysisRecord], known: Mapping[str, Analysis], models: Sequence[str]
) -> list[AnalysisRecord]:
    """Return records in order of the analyses, then of models, usual settings first."""
    places = {name: place for place, name in enumerate(known)}
    of_model = {name: place for place, name in enumerate(models)}
    return sorted(
        records,
        key=lambda one: (
            places.get(one.analysis, len(places)),
            one.analysis,
            variant(one),
            of_model.get(one.model, -1),
        ),
    )
