"""Where and when shards were made, and where hours went."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import Quantity, ResultTable

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class WorkedShard:
    """A shard as its provenance tells: where it was made, from when to when (seconds since 1970).

    cpus  cores of its process; is_gpu whether that had a GPU
    """

    stage: str
    model: str
    node: str
    started: float
    ended: float
    cpus: int
    is_gpu: bool

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
    )


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
