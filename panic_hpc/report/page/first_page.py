"""The first page of a report, from what was found and drawn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.records import AnalysisRecord, csv_bytes
from panic_hpc.analysis.results import ResultTable, table_of_tests
from panic_hpc.disk.file_names import file_name
from panic_hpc.report.figures.of_dataset import figures_of
from panic_hpc.report.figures.timeline import TimelineBar, draw_timeline
from panic_hpc.report.folder import ReportFolder
from panic_hpc.report.page import provenance, work
from panic_hpc.report.page.answers import answered
from panic_hpc.report.page.figure_files import OF_RUNS, FigureFiles
from panic_hpc.report.page.notices import notices
from panic_hpc.report.page.numbers import interval, number, units
from panic_hpc.report.page.tables import TableView, view
from panic_hpc.report.page.views import AnalysisView, analysis_view, anchor_of
from panic_hpc.report.rendering import render
from panic_hpc.versions import own_version

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

OF_WORK = "The work"


@dataclass(frozen=True, slots=True)
class ExplorerLink:
    """Where the explorer is, and how many states are on its map."""

    href: str
    n_points: int


class FirstPage:
    """Writes figures and tables into a report's folder, and then the page that shows them."""

    def __init__(
        self,
        dataset: "Dataset",
        records: Sequence[AnalysisRecord],
        known: Mapping[str, Analysis],
        folder: ReportFolder,
    ) -> None:
        """Nothing is written yet."""
        self.dataset, self.records, self.known = dataset, records, known
        self._folder = folder
        self._figures = FigureFiles(folder)
        self._analyses: list[AnalysisView] = []
        self._shards = work.worked_shards(dataset)

    def write_dataset(self) -> None:
        """Draw what every dataset has."""
        self._figures.draw_pictures(self.dataset)
        for spec, table in figures_of(self.dataset):
            self._figures.draw(OF_RUNS, spec.name, spec, table)

    def write_analysis(self, record: AnalysisRecord) -> None:
        """Draw an analysis' figures and write its tables."""
        self._figures.draw_analysis(record, self.known.get(record.analysis))
        place = f"tables/{file_name(anchor_of(record).removeprefix('analysis-'))}"
        tables = [
            self._table(table, f"{place}-{file_name(table.name)}.csv")
            for table in record.result.tables
        ]
        self._analyses.append(analysis_view(record, tables))

    def leave_out(self, name: str, why: str) -> None:
        """Say of something that it is not in the report, and why."""
        self._figures.undrawn.append((name, why))

    def page(self, explorer: ExplorerLink | None, comparisons: str = "") -> bytes:
        """Return the page, after all of the above was written; `comparisons` is theirs, if any."""
        self._draw_work()
        tests = table_of_tests(
            (one.analysis, one.model, test) for one in self.records for test in one.result.tests
        )
        return render(
            "index.html",
            "report.css",
            ["report.js"],
            title=self.dataset.path.name,
            facts=list(self._facts()),
            questions=answered(self.records, self.known),
            notices=notices(self.dataset, self.records),
            explorer=explorer,
            comparisons=comparisons,
            figure_groups=self._figures.groups,
            undrawn=self._figures.undrawn,
            analyses=self._analyses,
            tests=self._table(tests, "tables/tests.csv") if len(tests) else None,
            work=self._work(),
            provenance={
                "tables": [self._table(table, f"tables/{table.name}.csv") for table in (
                    provenance.experiments_table(self.dataset),
                    provenance.models_table(self.dataset),
                    provenance.code_table(self.dataset),
                )],
                "documents": list(provenance.documents(self.dataset)),
            },
            version=own_version(),
            content_key=self.dataset.content_key,
            interval=interval,
            units=units,
        )  # fmt: skip

    def _facts(self) -> Iterator[tuple[str, str]]:
        dataset, told = self.dataset, self.dataset.metadata
        names = [one["name"] for one in told["experiments"] if one["name"]]
        yield "experiment", ", ".join(names) or "unnamed"
        yield "runs", f"{dataset.n_runs:,}"
        yield "invocations", f"{dataset.file.rows('invocations/step'):,}"
        yield "networks", f"{len(told['networks']):,}"
        yield "prompts", f"{dataset.file.rows('prompts/group'):,}"
        yield "embeddings", ", ".join(dataset.embedding_models) or "none"
        yield "made", told["created"][:16].replace("T", " ") + " UTC"

    def _table(self, table: ResultTable, name: str, *, is_open: bool = False) -> TableView:
        href = self._folder.write(name, csv_bytes(table))
        return view(table, href, is_open=is_open)

    def _draw_work(self) -> None:
        bars = [
            TimelineBar(one.node, " of ".join(filter(None, (one.stage, one.model))), one.started,
                        one.ended)
            for one in self._shards
        ]  # fmt: skip
        if bars:
            self._figures.add(OF_WORK, "timeline", lambda: draw_timeline(bars))
        spec, table = work.HOURS_BY_MODEL, work.model_seconds_table(self.dataset)
        if any(table.data["hours"]):
            self._figures.draw(OF_WORK, spec.name, spec, table)

    def _work(self) -> dict[str, Any]:
        hours = work.hours_table(self._shards)
        tables = (hours, work.model_seconds_table(self.dataset))
        told = {
            "hours": number(sum(hours.data["hours"])),
            "gpu_hours": number(sum(hours.data["gpu_hours"])),
            "shards": f"{len(self._shards):,}",
        }
        return {
            "sentence": "{hours} hours by the clock in {shards} shards, {gpu_hours} of them of "
            "processes with a GPU.".format(**told) if self._shards else
            "No shard says when it was made.",
            "energy": work.energy_sentence(self._shards),
            "tables": [self._table(table, f"tables/{table.name}.csv", is_open=True)
                       for table in tables],
        }  # fmt: skip
