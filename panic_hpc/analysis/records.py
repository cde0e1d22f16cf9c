"""Results of analyses on disk: tables as Parquet and CSV, the rest as one JSON record.

    S.analyses/tests.parquet  tests.csv              tests of all analyses, corrected by family
    S.analyses/<analysis>/<embedding model>/record.json
    S.analyses/<analysis>/<embedding model>/<table>.parquet  <table>.csv

An analysis with other than its usual settings lies in `<embedding model>@<key of the settings>`,
and its tests are in the table only of the call that asked for them.
"""

import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from panic_hpc.analysis.results import (
    AnalysisResult,
    HypothesisTest,
    NotDone,
    Quantity,
    ResultTable,
    Statement,
    table_of_tests,
)
from panic_hpc.disk.file_names import file_name
from panic_hpc.disk.files import read_json, replace_file, to_json, without_nan
from panic_hpc.errors import PanicError
from panic_hpc.plain_text import sheet_cell
from panic_hpc.store.format.references import References

RECORD = "record.json"
_UNREADABLE = (PanicError, OSError, KeyError, TypeError, ValueError)
"""What reading a record of another version, or one half removed, raises: it is made anew."""
NO_MODEL = "dataset"
"""Folder of an analysis that is of no embedding model."""


@dataclass(frozen=True)
class AnalysisRecord:
    """What was found by one analysis in one embedding model, and how.

    key          of everything that decides the result
    content_key  of the dataset
    settings     as they were
    versions     of the libraries that computed
    error        why it failed, "" where it did not
    away         files with pictures that it had to do without, below the dataset's folder: what was
                 found then is not what will be found once they are back
    is_cached    whether it was there already
    folder       where it lies, None where it was not written
    """

    analysis: str
    model: str
    question: str
    asks: str
    key: str
    content_key: str
    settings: Mapping[str, Any]
    result: AnalysisResult
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    away: Sequence[str] = ()
    is_cached: bool = False
    folder: Path | None = None


def analyses_directory(dataset: Path) -> Path:
    """Return the folder of a dataset's analyses: beside it, by its name."""
    return dataset.with_name(f"{dataset.stem}.analyses")


def folder_of(directory: Path, analysis: str, model: str, settings_key: str = "") -> Path:
    """Return where an analysis' results lie; `settings_key` is "" for its usual settings."""
    safe = file_name(model) if model else NO_MODEL
    return directory / analysis / (f"{safe}@{settings_key[:8]}" if settings_key else safe)


def write_record(record: AnalysisRecord, folder: Path) -> AnalysisRecord:
    """Write an analysis' tables, then its record; return it with its folder."""
    for table in record.result.tables:
        _write_table(table, folder, record.key)
    # Last: where there is a record, its tables are there.
    replace_file(folder / RECORD, to_json(as_json(record)))
    return replace(record, folder=folder)


def as_json(record: AnalysisRecord) -> dict[str, Any]:
    """Return a record as JSON: tables by their columns, values without their data."""
    found = record.result
    told: dict[str, Any] = without_nan(
        {
            "analysis": record.analysis,
            "model": record.model,
            "question": record.question,
            "asks": record.asks,
            "key": record.key,
            "content_key": record.content_key,
            "settings": dict(record.settings),
            "seconds": round(record.seconds, 3),
            "versions": dict(record.versions),
            "error": record.error,
            "away": list(record.away),
            "n_units": dict(found.n_units),
            "statements": [asdict(one) for one in found.statements],
            "not_done": [asdict(one) for one in found.not_done],
            "tests": [asdict(one) for one in found.tests],
            "tables": [
                {
                    "name": table.name,
                    "rows": table.rows,
                    "n_rows": len(table),
                    "columns": [asdict(column) for column in table.columns],
                }
                for table in found.tables
            ],
        }
    )
    return told


def read_record(folder: Path) -> AnalysisRecord | None:
    """Return what lies in a folder, None where there is no record or it cannot be read."""
    try:
        value = read_json(folder / RECORD)
        found = AnalysisResult(
            statements=[Statement(**_with_nan(one)) for one in value["statements"]],
            tables=[_read_table(folder, one) for one in value["tables"]],
            tests=_tests_in(value),
            not_done=[NotDone(**one) for one in value["not_done"]],
            n_units=value["n_units"],
        )
        told = {
            name: value[name]
            for name in ("analysis", "model", "question", "asks", "key", "content_key",
                         "settings", "seconds", "versions", "error")
        }  # fmt: skip
        away = value.get("away", ())
        return AnalysisRecord(**told, result=found, away=away, is_cached=True, folder=folder)
    except _UNREADABLE:
        return None


def read_records(directory: Path, content_key: str) -> list[AnalysisRecord]:
    """Return all records below a directory that are of the dataset with that content key."""
    found = (read_record(path.parent) for path in sorted(directory.glob(f"*/*/{RECORD}")))
    return [one for one in found if one is not None and one.content_key == content_key]


def outdated(record: AnalysisRecord, references: References | None) -> str:
    """Return what to tell of a result that lacked files which are there now, "" where none is."""
    back = [path for path in record.away if references is not None and references.has(path)]
    if not back:
        return ""
    more = f" and {len(back) - 1} more" if len(back) > 1 else ""
    return (
        f"computed while {back[0]}{more} could not be read, which is there now: type "
        f"panic-hpc analyse DATASET {record.analysis} again"
    )


def write_tests(directory: Path, content_key: str, asked: Collection[Path] = ()) -> ResultTable:
    """Write and return the table of all tests below a directory of the dataset with that key.

    One record an analysis and embedding model counts: of the folders `asked` for now where one is
    of them, else that with the usual settings. So a test that is tried with one setting after the
    other is neither counted twice in its family nor able to choose its best p.
    """
    table = table_of_tests(_tests_below(directory, content_key, asked))
    _write_table(table, directory, "")
    return table


def _tests_below(
    directory: Path, content_key: str, asked: Collection[Path]
) -> Iterator[tuple[str, str, HypothesisTest]]:
    replaced = {_usual(folder) for folder in asked}
    # Records alone: tables can be large, and there are tests of all analyses ever run.
    for path in sorted(directory.glob(f"*/*/{RECORD}")):
        folder = path.parent
        is_usual = _usual(folder) == folder
        if folder not in asked and (folder in replaced or not is_usual):
            continue
        with suppress(*_UNREADABLE):
            value = read_json(path)
            if value["content_key"] == content_key:
                yield from [(value["analysis"], value["model"], test) for test in _tests_in(value)]


def _usual(folder: Path) -> Path:
    """Return the folder of the same analysis and model with the usual settings."""
    return folder.with_name(folder.name.partition("@")[0])


def _tests_in(value: Mapping[str, Any]) -> list[HypothesisTest]:
    return [HypothesisTest(**_with_nan(one)) for one in value["tests"]]


def _write_table(table: ResultTable, folder: Path, key: str) -> None:
    frame = to_frame(table)
    told = {f"unit:{c.name}": c.unit for c in table.columns}
    told |= {f"meaning:{c.name}": c.meaning for c in table.columns}
    parquet = io.BytesIO()
    frame.write_parquet(parquet, compression="zstd", metadata={"key": key, **told})
    replace_file(folder / f"{table.name}.parquet", parquet.getvalue())
    replace_file(folder / f"{table.name}.csv", _as_csv(frame))


def csv_bytes(table: ResultTable) -> bytes:
    """Return a table as CSV; texts as a spreadsheet may open them, from whomever they are."""
    return _as_csv(to_frame(table))


def _as_csv(frame: Any) -> bytes:
    import polars as pl

    stream = io.BytesIO()
    cells = [
        pl.Series(s.name, [None if v is None else sheet_cell(v) for v in s])
        for s in frame.select(pl.col(pl.String))
    ]
    frame.with_columns(cells).write_csv(stream)
    return stream.getvalue()


def to_frame(table: ResultTable) -> Any:
    """Return a table as a polars frame."""
    import polars as pl

    series = [pl.Series(name, list(values), strict=False) for name, values in table.data.items()]
    # A column of nothing but unknowns has no type of its own, and CSV and Parquet want one.
    return pl.DataFrame([s.cast(pl.String) if s.dtype == pl.Null else s for s in series])


def _read_table(folder: Path, told: Mapping[str, Any]) -> ResultTable:
    import polars as pl

    frame = pl.read_parquet(folder / f"{told['name']}.parquet")
    columns = tuple(Quantity(**column) for column in told["columns"])
    return ResultTable(told["name"], told["rows"], columns, frame.to_dict(as_series=False))


_NUMBERS = ("value", "low", "high", "statistic", "p")


def _with_nan(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement or test as it was: numbers that are None are nan."""
    return {n: math.nan if v is None and n in _NUMBERS else v for n, v in value.items()}
