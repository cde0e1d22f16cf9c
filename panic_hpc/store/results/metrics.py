"""What the metrics stage's shards hold: the numbers of each output that a metric could judge."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.store.format.column import Column, ragged_columns
from panic_hpc.store.results.base import DIGEST, INDEX, KEY, ExportTable, Problem, ResultKind
from panic_hpc.store.results.rows import Counted, ascending_problems
from panic_hpc.store.results.section import Section

METRICS = "metrics"
SCORE_TRUNCATED = 1
SCORE_FAILED = 2

_COLUMNS = (
    INDEX,
    KEY,
    Column("runs/n_rows", "<i4", "run", "its number of scores", scientific=True),
    DIGEST,
    Column("metrics/step", "<i4", "score", "step of the output", scientific=True),
    Column(
        "metrics/value", "<f8", "score", "what was found; nan where the item failed",
        trailing=("component",), scientific=True,
    ),
    Column(
        "metrics/flags", "<u2", "score", "bits: what happened to the item",
        scientific=True,
        codes={"truncated": SCORE_TRUNCATED, "failed": SCORE_FAILED},
    ),
    *ragged_columns("reasons", "score", "UTF-8 text a score: why it failed, or empty"),
)  # fmt: skip


_COMPONENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# Columns beside them in frames and tables.
_TAKEN = {"run", "model", "step", "flags", "truncated", "failed", "reason"}


def component_names(section: Section) -> tuple[str, ...]:
    """Return what a metric's components are called in a dataset, as its shards say.

    `component_0`, … where they say no such thing.
    """
    n_components = section.entry("metrics/value").shape[1]
    told = _told_names(section)
    if isinstance(told, list) and len(told) == n_components and are_component_names(told):
        return tuple(told)
    return tuple(f"component_{place}" for place in range(n_components))


def are_component_names(names: Sequence[Any]) -> bool:
    """Say whether these may name components: words, all different, none of them a column's."""
    words = [n for n in names if isinstance(n, str) and _COMPONENT.fullmatch(n)]
    return len(set(words) - _TAKEN) == len(names)


def _told_names(section: Section) -> Any:
    (shard,) = (c for c in section.kind.added_columns(section.model) if c.index == "shard")
    row = int(section.file.whole(shard.name).max(initial=-1))
    if row < 0:
        return None
    offsets = section.file.slice("shards/offsets", row, row + 2)
    content = section.file.slice("shards/values", int(offsets[0]), int(offsets[1])).tobytes()
    try:
        return parse_json(content)["provenance"]["components"]
    # A stranger's file may say anything here.
    except (ValueError, KeyError, TypeError):
        return None


def score_problems(section: Section) -> Iterator[Problem]:
    """Yield whether the steps of a run's scores do not ascend, from 0 on."""
    return ascending_problems(section, "metrics/step", 0)


PLUGINS = (
    ResultKind(
        stage=METRICS,
        columns=_COLUMNS,
        rows_per_run={"score": Counted("runs/n_rows")},
        dataset_offsets={"score": "offsets"},
        checks=(score_problems,),
        exports=(
            ExportTable(
                METRICS,
                "score",
                ("metrics/step", "metrics/flags", "metrics/value"),
                spread={"metrics/value": ("value_{}",)},
                texts={"reason": "reasons"},
                names=component_names,
            ),
        ),
    ),
)
