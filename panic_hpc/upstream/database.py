"""Reading upstream panic-tda's SQLite databases, those of its Python and of its Elixir years.

Tables and columns are those of https://github.com/ANUcybernetics/panic-tda: SQLModel's names
(`run`, `invocation`, …) until 2026-02, Ash's (`runs`, `invocations`, …) since.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.types import IMAGE, TEXT
from panic_hpc.upstream.cells import MOST_STEPS, Row, text_id
from panic_hpc.upstream.diagram import UpstreamDiagram, from_npz, from_term, read_diagram

PYTHON = "python"
ELIXIR = "elixir"
_TABLES: Mapping[str, Mapping[str, str]] = {
    PYTHON: {
        "experiments": "experimentconfig",
        "runs": "run",
        "invocations": "invocation",
        "embeddings": "embedding",
        "diagrams": "persistencediagram",
        "image": "output_image_data",
    },
    ELIXIR: {
        "experiments": "experiments",
        "runs": "runs",
        "invocations": "invocations",
        "embeddings": "embeddings",
        "diagrams": "persistence_diagrams",
        "image": "output_image",
    },
}
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "experiments": ("id", "networks", "prompts", "embedding_models", "max_length", "seeds?",
                    "num_runs?", "i2t_max_new_tokens?"),
    "runs": ("id", "network", "initial_prompt", "seed?", "run_number?", "max_length",
             "experiment_id"),
    "invocations": ("id", "model", "type", "seed?", "run_id", "sequence_number", "started_at",
                    "completed_at", "output_text", "{image}"),
    "embeddings": ("id", "embedding_model", "vector", "invocation_id"),
    "diagrams": ("id", "embedding_model", "diagram_data", "started_at", "completed_at", "run_id"),
}  # fmt: skip
"""What is read of each table; a column with "?" need not be there."""
# The names of columns in a corrupt database are no UTF-8.
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
MOST_VALUE_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class UpstreamExperiment:
    """One experiment; `config` has upstream's own fields, `stored_id` is the id as it is there."""

    id: str
    networks: tuple[tuple[str, ...], ...]
    prompts: tuple[str, ...]
    embedding_models: tuple[str, ...]
    max_length: int
    config: Mapping[str, Any]
    stored_id: str | bytes


@dataclass(frozen=True, slots=True)
class UpstreamRun:
    """One run; `seed` is -1 where upstream used none, `number` its place among equals."""

    id: str | bytes
    network: tuple[str, ...]
    prompt: str
    seed: int
    number: int
    max_length: int


@dataclass(frozen=True, slots=True)
class UpstreamInvocation:
    """One invocation; `output` is None where upstream stored none."""

    step: int
    model: str
    modality: str
    seed: int
    started: float
    seconds: float
    output: bytes | None


@dataclass(slots=True)
class UpstreamDatabase:
    """A database opened read-only."""

    path: Path
    era: str = ""
    _connection: Any = None
    _names: Mapping[str, str] = field(default_factory=dict)
    _columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __enter__(self) -> "UpstreamDatabase":
        """Open; PanicError where the file is no database of upstream's."""
        try:
            self._connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)
            _harden(self._connection)
            self._learn_tables()
        except _UNREADABLE as error:
            self.__exit__()
            raise PanicError(f"{self.path} is not a readable SQLite database ({error})") from error
        except PanicError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def _learn_tables(self) -> None:
        kinds = {
            name: (kind, sql or "")
            for name, kind, sql in self._connection.execute(
                "select name, type, sql from sqlite_master where type in ('table', 'view')"
            )
            if isinstance(name, str)
        }
        self.era = self._find_era(kinds)
        self._names = _TABLES[self.era]
        for part in ("experiments", "runs", "invocations", "embeddings", "diagrams"):
            table = self._names[part]
            if table in kinds:
                self._require_plain(table, *kinds[table])
            self._columns[table] = self._checked_columns(part, table)

    def _find_era(self, kinds: Mapping[str, Any]) -> str:
        for era, names in _TABLES.items():
            if {names["runs"], names["invocations"], names["experiments"]} <= kinds.keys():
                return era
        raise PanicError(
            f"{self.path} has none of upstream's tables",
            hint=f"It has {', '.join(sorted(kinds)[:8]) or 'no table at all'}",
        )

    def _require_plain(self, table: str, kind: str, sql: str) -> None:
        # A view may have rows without end, and a virtual table runs whatever module it names.
        if kind != "table" or re.match(r"\s*create\s+virtual", sql, re.IGNORECASE):
            raise PanicError(f"{self.path}: {table} is not a table but computes its rows")

    def _checked_columns(self, part: str, table: str) -> tuple[str, ...]:
        """Return the columns of a table that are read, () where there is no such table."""
        found = {
            row[1]: row[6] for row in self._connection.execute(f'pragma table_xinfo("{table}")')
        }
        if not found:
            return ()
        wanted = [column.format(**self._names) for column in _COLUMNS[part]]
        needed = {name.rstrip("?") for name in wanted if not name.endswith("?")}
        if missing := sorted(needed - found.keys()):
            raise PanicError(f"{self.path}: table {table} has no column {missing[0]}")
        names = tuple(name.rstrip("?") for name in wanted if name.rstrip("?") in found)
        # A generated column is a program: of a gigabyte a row, or without end.
        if generated := [name for name in names if found[name]]:
            raise PanicError(f"{self.path}: column {generated[0]} of {table} is computed")
        return names

    def _rows(self, part: str, condition: str, *values: Any) -> Iterator[Row]:
        """Yield the rows of a part that a condition names, with the columns that are read."""
        table = self._names[part]
        columns = ", ".join(f'"{name}"' for name in self._columns[table])
        yield from self._query(table, f'select {columns} from "{table}" {condition}', *values)

    def _query(self, table: str, query: str, *values: Any) -> Iterator[Row]:
        try:
            cursor = self._connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            while row := cursor.fetchone():
                yield Row(table, dict(zip(names, row, strict=True)))
        except _UNREADABLE as error:
            raise PanicError(f"{self.path}: table {table} cannot be read ({error})") from error

    def experiments(self) -> list[UpstreamExperiment]:
        """Return all experiments, oldest first."""
        return [_experiment(row) for row in self._rows("experiments", "order by id")]

    def runs(self, experiment: UpstreamExperiment) -> list[UpstreamRun]:
        """Return the runs of an experiment by network, prompt, then number or age."""
        rows = self._rows("runs", "where experiment_id = ? order by id", experiment.stored_id)
        runs = [_run(row, place) for place, row in enumerate(rows)]
        networks = {network: place for place, network in enumerate(experiment.networks)}
        prompts = {prompt: place for place, prompt in enumerate(experiment.prompts)}
        return sorted(
            runs,
            key=lambda run: (
                networks.get(run.network, len(networks)),
                prompts.get(run.prompt, len(prompts)),
                run.number,
            ),
        )

    def invocations(self, run: UpstreamRun) -> Iterator[UpstreamInvocation]:
        """Yield the invocations of a run by step."""
        for row in self._rows(
            "invocations", "where run_id = ? order by sequence_number, id", run.id
        ):
            yield _invocation(row, self._names["image"])

    def embeddings(self, run: UpstreamRun) -> Iterator[tuple[str, int, NDArray[np.float32]]]:
        """Yield (embedding model, step, vector) of a run by step; null vectors are left out."""
        if not self._columns[self._names["embeddings"]]:
            return
        query = (
            "select e.id, e.embedding_model, i.sequence_number, e.vector from {invocations} i "
            "join {embeddings} e on e.invocation_id = i.id "
            "where i.run_id = ? and e.vector is not null order by i.sequence_number, e.id"
        )
        for row in self._query(self._names["embeddings"], query.format(**self._names), run.id):
            vector = np.frombuffer(row.vector_bytes("vector"), np.dtype("<f4"))
            yield row.name("embedding_model"), row.whole("sequence_number", 0, MOST_STEPS), vector

    def diagrams(self, run: UpstreamRun) -> Iterator[UpstreamDiagram]:
        """Yield the persistence diagrams of a run."""
        if not self._columns[self._names["diagrams"]]:
            return
        decoded = from_npz if self.era == PYTHON else from_term
        for row in self._rows("diagrams", "where run_id = ? order by id", run.id):
            seconds = row.moment("completed_at") - row.moment("started_at")
            content = row.blob("diagram_data")
            yield read_diagram(row.name("embedding_model"), content, max(seconds, 0.0), decoded)


def _harden(connection: sqlite3.Connection) -> None:
    """Let a stranger's schema run nothing, and give out no value that would take all memory."""
    connection.execute("pragma trusted_schema = off")
    connection.execute("pragma cell_size_check = on")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES)
    # Bytes that are no UTF-8 come through, so that the cell can be named.
    connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")


def _experiment(row: Row) -> UpstreamExperiment:
    networks, prompts = row.networks("networks"), row.texts("prompts")
    models = row.names("embedding_models")
    max_length = row.whole("max_length", 0, MOST_STEPS)
    optional = {
        name: row.whole(name, -(2**63), 2**63 - 1)
        for name in ("num_runs", "i2t_max_new_tokens")
        if row.values.get(name) is not None
    }
    config = {
        "networks": [list(network) for network in networks],
        "prompts": list(prompts),
        "embedding_models": list(models),
        **({"seeds": row.seeds("seeds")} if row.values.get("seeds") else {}),
        **optional,
        "max_length": max_length,
    }
    own = row.id()
    return UpstreamExperiment(text_id(own), networks, prompts, models, max_length, config, own)


def _run(row: Row, place: int) -> UpstreamRun:
    has_number = row.values.get("run_number") is not None
    return UpstreamRun(
        row.id(),
        row.network("network"),
        row.text("initial_prompt"),
        row.seed("seed"),
        row.whole("run_number", -(2**63), 2**63 - 1) if has_number else place,
        row.whole("max_length", 0, MOST_STEPS),
    )


def _invocation(row: Row, image: str) -> UpstreamInvocation:
    modality = row.modality("type", (TEXT, IMAGE))
    text = row.optional_text("output_text")
    started, completed = row.moment("started_at"), row.moment("completed_at")
    return UpstreamInvocation(
        row.whole("sequence_number", 0, MOST_STEPS),
        row.name("model"),
        modality,
        row.seed("seed"),
        started,
        max(completed - started, 0.0),
        row.blob(image) if modality == IMAGE else (None if text is None else text.encode()),
    )
