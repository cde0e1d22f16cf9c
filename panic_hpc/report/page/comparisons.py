"""The page of comparisons: every network against the first, by measures and by votes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from panic_hpc.analysis.comparing.arms import Arm, all_arms
from panic_hpc.analysis.comparing.comparison import ArmResult, Comparison, compare
from panic_hpc.analysis.comparing.measures import known_measures, set_measure, twin_measure
from panic_hpc.analysis.records import csv_bytes
from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.disk.file_names import file_name
from panic_hpc.disk.files import without_nan
from panic_hpc.errors import PanicError
from panic_hpc.plain_text import counted
from panic_hpc.report.comparison_sheet import comparison_sheet
from panic_hpc.report.folder import ReportFolder
from panic_hpc.report.page.tables import TableView, view
from panic_hpc.report.rendering import render
from panic_hpc.voting.folder import read_votes, votes_folder
from panic_hpc.voting.ranking import VotedArm, rank
from panic_hpc.voting.votes import latest

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

PAGE = "comparisons.html"
SHEET = "comparison_sheet.png"
MOST_ARMS = 100
MOST_MEASURES = 60

OF_ARMS = (
    Quantity("network", "the network", ""),
    Quantity("mean", "over prompts of the mean of a prompt's runs"),
    Quantity("difference", "from the first network, over pairs of equal prompt and seed"),
    Quantity("low", "lower end of the difference's interval, over prompts"),
    Quantity("high", "upper end of the difference's interval, over prompts"),
    Quantity("p", "of no difference, by flipping the signs of prompts"),
    Quantity("p (Holm)", "corrected for all networks of this table"),
    Quantity("prompts", "that the difference rests on"),
    Quantity("pairs", "that the difference rests on"),
    Quantity("note", "what must be known of it", ""),
)
OF_VOTES = (
    Quantity("network", "the network", ""),
    Quantity("best rank", "that the votes leave possible"),
    Quantity("worst rank", "that the votes leave possible"),
    Quantity("preferred", "probability to be preferred to another network"),
    Quantity("low", "lower end of its interval"),
    Quantity("high", "upper end of its interval"),
    Quantity("compared", "votes that it was in"),
    Quantity("likes", "votes that like it"),
    Quantity("dislikes", "votes that do not"),
)


class Comparisons:
    """Writes the page into a report's folder, where there are networks to compare or votes."""

    def __init__(self, dataset: "Dataset", folder: ReportFolder) -> None:
        """Nothing is written yet."""
        self._dataset, self._folder = dataset, folder
        self._not_done: list[tuple[str, str]] = []
        self.href = ""

    def write_page(self) -> None:
        """Write tables, sheet and page; nothing of one network without votes."""
        arms = all_arms([self._dataset])[:MOST_ARMS]
        votes = self._votes(arms)
        if len(arms) < 2 and not votes:
            return
        page = render(
            PAGE,
            "report.css",
            ["report.js"],
            title=self._dataset.path.name,
            baseline=arms[0].name,
            votes=votes,
            tables=list(self._tables(arms)),
            sheet=self._sheet(arms),
            not_done=self._not_done,
        )
        self.href = self._folder.write(PAGE, page)

    def _tables(self, arms: Sequence[Arm]) -> Iterator[TableView]:
        for name in _cheap(known_measures(self._dataset)) if len(arms) > 1 else ():
            try:
                found = compare(arms, arms[0], name)
            # A stranger's dataset may hold what no measure can be taken of.
            except (PanicError, ValueError) as error:
                self._not_done.append((name, str(error)))
                continue
            if all(one.n_without == one.n_runs for one in found.arms):
                self._not_done.append((name, "no run has a value"))
            else:
                yield self._table(found)

    def _table(self, found: Comparison) -> TableView:
        rows = [without_nan(_row(one)) for one in found.arms]
        table = ResultTable.of_rows(found.measure, "network", OF_ARMS, rows)
        name = f"tables/comparison-{file_name(found.measure)}.csv"
        return view(table, self._folder.write(name, csv_bytes(table)), found.measure, is_open=True)

    def _votes(self, arms: Sequence[Arm]) -> dict[str, Any] | None:
        try:
            stored = read_votes(votes_folder(self._dataset.path))
        except PanicError as error:
            self._not_done.append(("votes", str(error)))
            return None
        if not stored.votes or not arms:
            return None
        found = rank(arms, latest(stored.votes))
        rows = [without_nan(_voted_row(one)) for one in found.arms]
        table = ResultTable.of_rows("votes", "network", OF_VOTES, rows)
        href = self._folder.write("tables/votes.csv", csv_bytes(table))
        ties = f"{found.n_ties} of them for neither"
        told = f"{counted(found.n_preferences, 'comparison')}, {ties}, by "
        told += f"{counted(found.n_voters, 'voter')}. Intervals are of {found.level:.0%}."
        return {
            "told": told,
            "notes": found.notes,
            "table": view(table, href, "ranks", is_open=True),
        }

    def _sheet(self, arms: Sequence[Arm]) -> str:
        if len(arms) < 2:
            return ""
        try:
            comparison_sheet(arms, [], self._folder.admit(SHEET))
        except PanicError as error:
            self._not_done.append(("pictures", str(error)))
            return ""
        return SHEET


def _cheap(names: Sequence[str]) -> list[str]:
    """Return the measures of runs that read no pictures, in a number that a page can show."""
    is_of_two = [bool(set_measure(name) or twin_measure(name)) for name in names]
    kept = [name for name, two in zip(names, is_of_two, strict=True) if not two]
    return [name for name in kept if name != "distinct"][:MOST_MEASURES]


def _row(one: ArmResult) -> tuple[Any, ...]:
    gap = one.difference
    if gap is None:
        return one.name, one.mean, None, None, None, None, None, None, None, one.note
    numbers = gap.mean, gap.low, gap.high, gap.p, one.p_holm, gap.n_units, gap.n_pairs
    return one.name, one.mean, *numbers, one.note


def _voted_row(one: VotedArm) -> tuple[Any, ...]:
    strength, liking = one.strength, one.liking
    numbers = strength.share, strength.low, strength.high, strength.n
    ranks = strength.best_rank, strength.worst_rank
    return one.name, *ranks, *numbers, liking.n_likes, liking.n - liking.n_likes
