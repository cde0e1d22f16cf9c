"""Reading upstream panic-tda's SQLite databases, those of its Python and of its Elixir years.

Tables and columns are those of https://github.com/ANUcybernetics/panic-tda: SQLModel's names
(`run`, `invocation`, …) until 2026-02, Ash's (`runs`, `invocations`, …) since.
"""

import datetime
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.types import IMAGE
from panic_hpc.upstream import erlang_terms

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
_INFINITIES = {"inf": np.inf, "infinity": np.inf, "-inf": -np.inf, "nan": np.nan}


@dataclass(frozen=True, slots=True)
class UpstreamExperiment:
    """One experiment; `config` has upstream's own fields."""

    id: str
    networks: tuple[tuple[str, ...], ...]
    prompts: tuple[str, ...]
    embedding_models: tuple[str, ...]
    max_length: int
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UpstreamRun:
    """One run; `seed` is -1 where upstream used none, `number` its place among equals."""

    id: Any
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


@dataclass(frozen=True, slots=True)
class UpstreamDiagram:
    """One result of upstream's persistent homology; `dgms` is None where it stored none."""

    model: str
    dgms: list[NDArray[np.float32]] | None
    entropy: NDArray[np.float64]
    seconds: float
    problem: str = ""


@dataclass(slots=True)
class UpstreamDatabase:
    """A database opened read-only."""

    path: Path
    era: str = ""
    _connection: Any = None
    _names: Mapping[str, str] = field(default_factory=dict)
    _columns: dict[str, set[str]] = field(default_factory=dict)

    def __enter__(self) -> "UpstreamDatabase":
        """Open; PanicError where the file is no database of upstream's."""
        try:
            self._connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)
            self._learn_tables()
        except sqlite3.Error as error:
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
        self.era = self._find_era()
        self._names = _TABLES[self.era]
        for table in self._names.values():
            rows = self._connection.execute(f'pragma table_info("{table}")')
            self._columns[table] = {row[1] for row in rows}

    def _find_era(self) -> str:
        rows = self._connection.execute("select name from sqlite_master where type = 'table'")
        tables = {name for (name,) in rows}
        for era, names in _TABLES.items():
            if {names["runs"], names["invocations"], names["experiments"]} <= tables:
                return era
        raise PanicError(
            f"{self.path} has none of upstream's tables",
            hint=f"It has {', '.join(sorted(tables)[:8]) or 'no table at all'}",
        )

    def _rows(self, query: str, *values: Any) -> Iterator[Mapping[str, Any]]:
        """Yield rows as dictionaries; `{runs}` and the like in the query become tables' names."""
        try:
            with closing(self._connection.execute(query.format(**self._names), values)) as cursor:
                names = [column[0] for column in cursor.description]
                for row in cursor:
                    yield dict(zip(names, row, strict=True))
        except sqlite3.Error as error:
            raise PanicError(f"{self.path} cannot be read ({error})") from error

    def experiments(self) -> list[UpstreamExperiment]:
        """Return all experiments, oldest first."""
        return [_experiment(row) for row in self._rows("select * from {experiments} order by id")]

    def runs(self, experiment: UpstreamExperiment) -> list[UpstreamRun]:
        """Return the runs of an experiment by network, prompt, then number or age."""
        rows = self._rows(
            "select * from {runs} where experiment_id = ? order by id", _id_of(experiment.config)
        )
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
        query = "select * from {invocations} where run_id = ? order by sequence_number, id"
        for row in self._rows(query, run.id):
            yield _invocation(row, self._names["image"])

    def embeddings(self, run: UpstreamRun) -> Iterator[tuple[str, int, NDArray[np.float32]]]:
        """Yield (embedding model, step, vector) of a run by step; null vectors are left out."""
        query = (
            "select e.embedding_model, i.sequence_number, e.vector from {invocations} i "
            "join {embeddings} e on e.invocation_id = i.id "
            "where i.run_id = ? and e.vector is not null order by i.sequence_number, e.id"
        )
        for row in self._rows(query, run.id):
            vector = np.frombuffer(row["vector"], np.dtype("<f4"))
            yield row["embedding_model"], int(row["sequence_number"]), vector

    def diagrams(self, run: UpstreamRun) -> Iterator[UpstreamDiagram]:
        """Yield the persistence diagrams of a run."""
        if not self._columns[self._names["diagrams"]]:
            return
        decoded = _from_npz if self.era == PYTHON else _from_term
        for row in self._rows("select * from {diagrams} where run_id = ? order by id", run.id):
            seconds = _time(row["completed_at"]) - _time(row["started_at"])
            yield _diagram(row["embedding_model"], row["diagram_data"], max(seconds, 0.0), decoded)


def _id_of(config: Mapping[str, Any]) -> Any:
    return config["_id"]


def _experiment(row: Mapping[str, Any]) -> UpstreamExperiment:
    lists = {name: json.loads(row[name] or "[]") for name in
             ("networks", "prompts", "embedding_models")}  # fmt: skip
    extra = {name: row[name] for name in ("num_runs", "i2t_max_new_tokens") if name in row}
    seeds = {"seeds": json.loads(row["seeds"])} if row.get("seeds") else {}
    config = {**lists, **seeds, **extra, "max_length": row["max_length"], "_id": row["id"]}
    return UpstreamExperiment(
        _text_id(row["id"]),
        tuple(tuple(network) for network in lists["networks"]),
        tuple(lists["prompts"]),
        tuple(lists["embedding_models"]),
        int(row["max_length"]),
        config,
    )


def _text_id(value: Any) -> str:
    """Return an id as 32 hex digits, whether it was stored as text or as 16 bytes."""
    return value.hex() if isinstance(value, bytes) else str(value).replace("-", "").lower()


def text_id(run: UpstreamRun) -> str:
    """Return a run's id as 32 hex digits."""
    return _text_id(run.id)


def _run(row: Mapping[str, Any], place: int) -> UpstreamRun:
    return UpstreamRun(
        row["id"],
        tuple(json.loads(row["network"])),
        row["initial_prompt"],
        int(row["seed"]) if row.get("seed") is not None else -1,
        int(row.get("run_number", place)),
        int(row["max_length"]),
    )


def _invocation(row: Mapping[str, Any], image: str) -> UpstreamInvocation:
    modality = str(row["type"]).lower()
    text = row["output_text"]
    output = text.encode() if isinstance(text, str) else None
    started, completed = _time(row["started_at"]), _time(row["completed_at"])
    seed = row.get("seed")
    return UpstreamInvocation(
        int(row["sequence_number"]),
        row["model"],
        modality,
        -1 if seed is None else int(seed),
        started,
        max(completed - started, 0.0),
        row[image] if modality == IMAGE else output,
    )


def _time(value: Any) -> float:
    """Return a stored time as seconds since 1970, nan where there is none."""
    if value is None:
        return float("nan")
    moment = datetime.datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def _diagram(model: str, content: bytes | None, seconds: float, decoded: Any) -> UpstreamDiagram:
    nothing = np.empty(0, np.float64)
    if content is None:
        problem = "upstream stored no diagram, which it did where memory ran out"
        return UpstreamDiagram(model, None, nothing, seconds, problem)
    try:
        dgms, entropy = decoded(content)
        return UpstreamDiagram(model, dgms, entropy, seconds)
    except (PanicError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        return UpstreamDiagram(model, None, nothing, seconds, f"it cannot be decoded: {error}")


def _from_npz(content: bytes) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        count = int(found["dgms_count"][0])
        dgms = [_bars(found[f"dgms_{place}"]) for place in range(count)]
        return dgms, np.asarray(found["entropy"], np.float64).reshape(-1)


def _from_term(content: bytes) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    value = erlang_terms.decode(content)
    dgms = [_bars([[_number(end) for end in bar] for bar in dgm]) for dgm in value["dgms"]]
    return dgms, np.array([_number(one) for one in value["entropy"]], np.float64)


def _bars(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(-1, 2)


def _number(value: Any) -> float:
    """Return a number that Erlang, which has no infinity, may hold as a word."""
    return _INFINITIES[value.lower()] if isinstance(value, str) else float(value)
