"""Figures of analyses as data: what is drawn of which table; `report/` alone knows how to draw."""

from dataclasses import dataclass
from typing import Literal, get_args

from panic_hpc.errors import PanicError

Form = Literal["intervals", "lines", "steps", "points", "distributions", "bars", "heatmap"]
FORMS: tuple[str, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A figure that `panic-hpc report` draws of a table of the analysis; columns go by their names.

    Rows with no number where one is needed are left out, and the figure says how many.

    name       of its files: "skill_by_steps"
    table      the table of the analysis that it is drawn from
    form       intervals: a mark and an interval for each x, which are words
               lines, steps: y over x, which are numbers; steps for survival
               points: a mark for each row, at numbers x and y
               distributions: where the values y lie, for each x, which are words
               bars: lengths y, for each x, which are words; with series stacked
               heatmap: a shade for each pair of words x and y, by the column `value`
    title      what it shows, in a few words
    caption    how to read it: estimator, interval, what the null is
    x, y       columns
    value      column of shades of a heatmap
    series     column whose values are told apart by marker, dash and colour; "" for one series
    panels     column whose values have a panel each; "" for one panel
    low, high  columns of y's interval; "" where there is none
    null_low, null_high  columns of the band in which y lies if there is nothing to find
    reference  a number of y at which a line is drawn: no effect, say
    log        axes with a logarithmic scale: "", "x", "y" or "xy"
    """

    name: str
    table: str
    form: Form
    title: str
    x: str
    y: str
    caption: str = ""
    value: str = ""
    series: str = ""
    panels: str = ""
    low: str = ""
    high: str = ""
    null_low: str = ""
    null_high: str = ""
    reference: float | None = None
    log: Literal["", "x", "y", "xy"] = ""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise PanicError(
                f"The figure {self.name} has the form {self.form!r}",
                hint=f"There are {', '.join(FORMS)}",
            )
        if self.form == "heatmap" and not self.value:
            raise PanicError(f"The heatmap {self.name} names no column of shades")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it needs, each once."""
        named = (
            *(self.panels, self.series, self.x, self.y, self.value),
            *(self.low, self.high, self.null_low, self.null_high),
        )
        return tuple(dict.fromkeys(filter(None, named)))
