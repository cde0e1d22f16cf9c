"""The first pictures of a dataset: what its runs looked like, and the shape of one trajectory."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.report.contact_sheet import THUMBNAIL, Cell, Strip, contact_sheet, fitted
from panic_hpc.report.persistence_diagram import persistence_diagram
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.types import DIAGRAMS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

MOST_RUNS = 16


def draw_contact_sheet(dataset: "Dataset", path: Path) -> Path:
    """Write a PNG with a row for each of at most 16 runs, spread over the networks evenly."""
    require_sound(dataset.file)
    names = dataset.networks()["name"].to_list()
    prompts = dataset.prompt_names()
    runs = dataset.runs()
    rows = runs.rows(named=True)
    shown = [rows[i] for i in spread(len(rows), MOST_RUNS)]
    length = max((row["n_steps"] for row in shown), default=0)
    return contact_sheet(
        [
            Strip(
                _title(row, names, prompts),
                continued(
                    _cells(dataset, row["run"]), row["loop_start"], row["loop_length"], length
                ),
            )
            for row in shown
        ],
        path,
    )


def draw_persistence_diagram(dataset: "Dataset", run: int, model: str, path: Path) -> Path:
    """Draw one run's persistence diagrams under one embedding model, as PNG or PDF by the name."""
    title = f"Run {run}: “{dataset.prompt_names()[_prompt(dataset, run)]}”, embedded by {model}"
    return persistence_diagram(dataset.diagrams(run, model), path, title=title)


def bars_table(dataset: "Dataset", run: int, model: str) -> ResultTable:
    """Return the bars of one run's persistence diagrams."""
    columns = (
        Quantity("dimension", "homology dimension", ""),
        Quantity("birth", "where it begins", "distance"),
        Quantity("death", "where it ends, inf: never", "distance"),
    )
    rows = [
        (dimension, birth, death)
        for dimension, bars in enumerate(dataset.diagrams(run, model))
        for birth, death in bars.tolist()
    ]
    return ResultTable.of_rows("bars", "bar", columns, rows)


def richest_run(dataset: "Dataset", model: str) -> int | None:
    """Return the run with the most bars above dimension 0, None where no run has a diagram."""
    if model not in dataset.models_of(DIAGRAMS):
        return None
    counts = {
        run: sum(len(dgm) for dgm in dataset.diagrams(run, model)[1:])
        for run in range(dataset.n_runs)
        if not dataset.reason(run, model)
    }
    return max(counts, key=lambda run: counts[run]) if counts else None


def spread(count: int, most: int) -> Sequence[int]:
    """Return at most `most` of the numbers below `count`, evenly spread, the first among them."""
    if count <= most:
        return range(count)
    # Runs are ordered by network, so even steps show each of them.
    return [i * count // most for i in range(most)]


def _title(row: dict[str, object], names: Sequence[str], prompts: Sequence[str]) -> str:
    network, prompt = names[int(str(row["network"]))], prompts[int(str(row["prompt"]))]
    return f"{network} · “{prompt}” · seed {row['seed']}"


def _cells(dataset: "Dataset", run: int) -> list[Cell]:
    """Return a cell for each image of a run, captioned by the text made from it."""
    texts = dataset.texts(run)
    return [
        # The caption of a picture is the text of the next step; a longer cycle may have none there.
        # Shrunk at once: whole pictures of a sheet may be gigabytes.
        Cell(step, fitted(dataset.image(run, step), THUMBNAIL), texts.get(step + 1, ""))
        for step in dataset.image_steps(run)
    ]


def continued(
    cells: Sequence[Cell], loop_start: int, loop_length: int, length: int
) -> Sequence[Cell]:
    """Return a run's cells, and where it stopped on a loop what later steps would have shown.

    From `loop_start` on, the output of a step is that of `loop_length` steps before.
    """
    if loop_length < 1 or not cells:
        return cells
    there = {cell.step: cell for cell in cells}
    repeats = [
        Cell(step, there[source].image, repeats=source)
        for step in range(cells[-1].step + 1, length)
        if (source := loop_start + (step - loop_start) % loop_length) in there
    ]
    return [*cells, *repeats]


def _prompt(dataset: "Dataset", run: int) -> int:
    return int(dataset.runs()["prompt"][run])
