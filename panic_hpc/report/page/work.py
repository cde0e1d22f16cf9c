"""Where and when shards were made, and where hours went."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import Quantity, ResultTable

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

HOUR_S = J_PER_WH = 3600.0


@dataclass(frozen=True, slots=True)
class WorkedShard:
    """A shard as its provenance tells: where it was made, from when to when (seconds since 1970).

    cpus  cores of its process; is_gpu whether that had a GPU
    joules  what its GPUs used meanwhile, None where nothing told; grid  g of CO2 equivalent a kWh
    """

    stage: str
    model: str
    node: str
    started: float
    ended: float
    cpus: int
    is_gpu: bool
    joules: float | None = None
    grid: float | None = None

    @property
    def seconds(self) -> float:
        """Its last attempt's time by the clock."""
        return max(0.0, self.ended - self.started)


def worked_shards(dataset: "Dataset") -> list[WorkedShard]:
    """Return the shards that say when they were made, in order of that."""
    found = [_of_row(row) for row in dataset.shards().rows(named=True)]
    return sorted((one for one in found if one), key=lambda one: (one.started, one.stage))


def _of_row(row: dict[str, Any]) -> WorkedShard | None:
    told = json.loads(row["provenance"])
    started, ended = told.get("started"), told.get("ended")
    if not (isinstance(started, int | float) and isinstance(ended, int | float)):
        return None
    slurm = told.get("slurm") if isinstance(told.get("slurm"), dict) else {}
    cpus = told.get("cpus")
    return WorkedShard(
        stage=row["stage"],
        model=row["model"],
        node=str(slurm.get("node") or told.get("host") or "unknown"),
        started=float(started),
        ended=float(ended),
        cpus=cpus if isinstance(cpus, int) else 1,
        is_gpu=str(told.get("device", "")).startswith("cuda"),
        **_energy_of(told.get("energy")),
    )


def _energy_of(told: Any) -> dict[str, float | None]:
    """Return what a header's `energy` says, nothing where it is of another form."""
    found = told if isinstance(told, dict) else {}
    values = {"joules": found.get("joules"), "grid": found.get("grid_g_per_kwh")}
    return {
        name: float(value) if isinstance(value, int | float) and 0 <= value < math.inf else None
        for name, value in values.items()
    }


def energy_sentence(shards: Sequence[WorkedShard]) -> str:
    """Return what GPUs used in the shards that say so, and what that means by their grids."""
    told = [shard for shard in shards if shard.joules is not None]
    if not told:
        return "none of the shards recorded any."
    watt_hours = sum(shard.joules or 0.0 for shard in told) / J_PER_WH
    text = f"{watt_hours:,.4g} Wh of GPUs in {len(told):,} of {len(shards):,} shards"
    known = [shard for shard in told if shard.grid is not None]
    if not known:
        return f"{text}, by the counters of whole cards; no grid intensity was told."
    grams = sum((one.joules or 0.0) / J_PER_WH / 1000 * (one.grid or 0.0) for one in known)
    return f"{text}, by the counters of whole cards: {grams:,.4g} g of CO2 equivalent by the grid."


def hours_table(shards: Sequence[WorkedShard]) -> ResultTable:
    """Return hours by stage and embedding model."""
    groups: dict[tuple[str, str], list[WorkedShard]] = {}
    for shard in shards:
        groups.setdefault((shard.stage, shard.model), []).append(shard)
    columns = (
        Quantity("work", "stage, and its embedding model", ""),
        Quantity("shards", "shards", "shards"),
        Quantity("hours", "time by the clock, of all shards together", "h"),
        Quantity("gpu_hours", "of these, hours of processes with a GPU", "h"),
        Quantity("core_hours", "hours times the cores of the process", "h"),
    )
    rows = [
        (
            " of ".join(filter(None, name)),
            len(own),
            sum(one.seconds for one in own) / HOUR_S,
            sum(one.seconds for one in own if one.is_gpu) / HOUR_S,
            sum(one.seconds * one.cpus for one in own) / HOUR_S,
        )
        for name, own in groups.items()
    ]
    return ResultTable.of_rows("hours_by_stage", "stage", columns, rows)


def model_seconds_table(dataset: "Dataset") -> ResultTable:
    """Return the time inside of each model's calls."""
    found = dataset.result("runs")
    models, seconds = found.column("invocations/model"), found.column("invocations/seconds")
    names = [model["name"] for model in dataset.metadata["models"]]
    totals = np.bincount(models, weights=seconds, minlength=len(names))
    counts = np.bincount(models, minlength=len(names))
    columns = (
        Quantity("model", "model", ""),
        Quantity("invocations", "its invocations", "invocations"),
        Quantity("hours", "time inside of its calls", "h"),
        Quantity("seconds_each", "of these, for each invocation", "s"),
    )
    rows = [
        (names[row], int(counts[row]), float(totals[row]) / HOUR_S,
         float(totals[row]) / int(counts[row]))
        for row in np.flatnonzero(counts)
    ]  # fmt: skip
    return ResultTable.of_rows("hours_by_model", "model", columns, rows)


HOURS_BY_MODEL = FigureSpec(
    name="hours_by_model",
    table="hours_by_model",
    form="bars",
    title="Where hours went: inside of models",
    caption="Sum of the time of calls, as recorded with each invocation; loading, storing, "
    "embedding and diagrams are not in it.",
    x="model",
    y="hours",
)
