"""Writing a report: its figures and tables, its explorer, and last its first page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.records import AnalysisRecord, outdated
from panic_hpc.report.explorer.explorer_page import PAGE, Explorer
from panic_hpc.report.folder import ReportFolder
from panic_hpc.report.page.comparisons import Comparisons
from panic_hpc.report.page.first_page import ExplorerLink, FirstPage
from panic_hpc.report.page.views import in_order
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.versions import own_version

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """How a report is made.

    most_points    states on the map of the explorer; of more every n-th of a run
    most_pictures  pictures in the explorer; of more those of some runs and steps; 0: none
    force          whether to write over other things in the folder
    """

    most_points: int = 100_000
    most_pictures: int = 2_000
    force: bool = False


def write_report(
    dataset: "Dataset",
    directory: Path,
    records: Sequence[AnalysisRecord],
    known: Mapping[str, Analysis],
    request: ReportRequest | None = None,
    report: Report = lambda done, total: None,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Write a report of a dataset and of what analyses found in it; return its first page.

    `known` are analyses by name, whose hooks say what answers a question and what is drawn. The
    folder needs nothing but a browser and asks nobody for anything. A report of the same
    experiments that is there is replaced. Pictures in files that the dataset refers to, and that
    are away, are left out; the pages and `warn` tell of them. PanicError where the dataset
    contradicts itself, or the folder holds other things and `force` is not given.
    """
    request = request or ReportRequest()
    require_sound(dataset.file)
    keys = [one["key"] for one in dataset.metadata["experiments"]]
    folder = ReportFolder(directory, [dataset.path], keys, force=request.force)
    records = in_order(records, known, dataset.embedding_models)
    first = FirstPage(dataset, records, known, folder)
    comparisons = Comparisons(dataset, folder)
    explorer = Explorer(dataset, folder, request.most_points, request.most_pictures)
    steps: list[Callable[[], None]] = [
        first.write_dataset,
        *(partial(first.write_analysis, record) for record in records),
        *(partial(explorer.write_sheet, run) for run in explorer.pictures),
        comparisons.write_page,
    ]
    for done, step in enumerate(steps):
        report(done, len(steps))
        step()
    n_points = explorer.write_page()
    link = ExplorerLink(PAGE, n_points) if n_points else None
    for away in explorer.away():
        first.leave_out("pictures", away)
        warn(away)
    for record in records:
        if why := outdated(record, dataset.file.references):
            first.leave_out(record.analysis, why)
            warn(f"The analysis {record.analysis} was {why}")
    told = {"content_key": dataset.content_key, "software": own_version()}
    page = folder.finish(first.page(link, comparisons.href), told)
    report(len(steps), len(steps))
    return page
