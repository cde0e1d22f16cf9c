"""Arms side by side: a row a prompt and seed, a column an arm, its picture and its value."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from panic_hpc.analysis.comparing.arms import Arm, Pair, spread
from panic_hpc.analysis.comparing.measures import (
    MoreMeasures,
    measure,
    no_more,
    set_measure,
    twin_measure,
)
from panic_hpc.errors import PanicError
from panic_hpc.report.contact_sheet import Cell, Strip, contact_sheet

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

MOST_ARMS = 12
MOST_ROWS = 12


def comparison_sheet(
    arms: Sequence[Arm], measures: Sequence[str], path: Path, more: MoreMeasures = no_more
) -> Path:
    """Write a PNG of the last pictures of arms, MOST_ROWS pairs of prompt and seed that all have.

    Each prompt gets a row before one gets a second. What runs have under `measures` stands beneath.
    PanicError where there is no such pair, or no picture.
    """
    shown = list(arms)[:MOST_ARMS]
    pairs = [pair for pair in shown[0].rows if all(pair in arm.rows for arm in shown)]
    if not pairs:
        raise PanicError(
            "The arms share no prompt and seed, so that nothing can stand side by side"
        )
    # Arms are often networks of one dataset.
    datasets = {id(arm.dataset): arm.dataset for arm in shown}
    values = {
        (place, name): _values(dataset, name, more)
        for place, dataset in datasets.items()
        for name in measures
    }
    strips = []
    for pair in spread(pairs, MOST_ROWS):
        cells = [
            Cell(column, _last_picture(arm, pair), _beneath(arm, pair, measures, values))
            for column, arm in enumerate(shown)
        ]
        strips.append(Strip(_title(pair), cells))
    if not any(cell.image is not None for strip in strips for cell in strip.cells):
        raise PanicError("The arms have no pictures", hint="images.keep_every = 1 keeps them")
    names = short_names([arm.name for arm in shown])
    return contact_sheet(strips, path, most_columns=MOST_ARMS, names=names)


def short_names(names: Sequence[str]) -> list[str]:
    """Return names without the words that all begin with: `Drawn.steps-2` becomes `steps-2`."""
    whole = list(names)
    shared = list(takewhile(lambda letters: len(set(letters)) == 1, zip(*whole, strict=False)))
    for cut in range(len(shared), 0, -1):
        # Behind a dot or a blank, and before a word: the dot of a number is no end of one.
        if whole[0][cut - 1] in ". " and all(name[cut : cut + 1].isalpha() for name in whole):
            return [name[cut:] for name in whole]
    return whole


def _title(pair: Pair) -> str:
    return f"{pair.prompt}  (seed {pair.seed}{f', {pair.rest}' if pair.rest else ''})"


def _values(dataset: "Dataset", name: str, more: MoreMeasures) -> np.ndarray:
    if set_measure(name) or twin_measure(name):
        return np.full(dataset.n_runs, np.nan)
    return (more(dataset, name) or measure(dataset, name)).values


def _beneath(
    arm: Arm, pair: Pair, measures: Sequence[str], values: dict[tuple[int, str], np.ndarray]
) -> str:
    found = {name: float(values[id(arm.dataset), name][arm.rows[pair]]) for name in measures}
    shown = {name: f"{value:.3g}" for name, value in found.items() if np.isfinite(value)}
    if len(measures) == 1:
        return "".join(shown.values())
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def _last_picture(arm: Arm, pair: Pair) -> np.ndarray | None:
    row = arm.rows[pair]
    steps = arm.dataset.image_steps(row)
    return arm.dataset.image(row, steps[-1]) if steps else None
