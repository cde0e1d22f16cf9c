"""Small databases in the schemas of upstream's Python and Elixir years."""

import io
import json
import sqlite3
import struct
import uuid
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PYTHON_SCHEMA = """
create table experimentconfig (networks json, seeds json, prompts json, embedding_models json,
  id char(32) not null primary key, max_length integer not null, started_at datetime,
  completed_at datetime);
create table run (network json, id char(32) not null primary key, seed integer not null,
  max_length integer not null, initial_prompt varchar not null, experiment_id char(32));
create table invocation (id char(32) not null primary key, started_at datetime,
  completed_at datetime, model varchar not null, type varchar(5) not null, seed integer not null,
  run_id char(32) not null, sequence_number integer not null, input_invocation_id char(32),
  output_text varchar, output_image_data blob);
create index ix_invocation_run_id on invocation (run_id);
create table embedding (id char(32) not null primary key, started_at datetime,
  completed_at datetime, invocation_id char(32) not null, embedding_model varchar not null,
  vector blob);
create index ix_embedding_invocation_id on embedding (invocation_id);
create table persistencediagram (id char(32) not null primary key, started_at datetime,
  completed_at datetime, diagram_data blob, run_id char(32) not null,
  embedding_model varchar not null);
create index ix_persistencediagram_run_id on persistencediagram (run_id);
"""

ELIXIR_SCHEMA = """
create table experiments (id text not null primary key, networks json not null,
  prompts json not null, embedding_models json not null, max_length integer not null,
  num_runs integer not null, started_at text, completed_at text);
create table runs (id text not null primary key, network json not null,
  run_number bigint not null, max_length bigint not null, initial_prompt text not null,
  experiment_id text not null);
create table invocations (id text not null primary key, model text not null, type text not null,
  sequence_number bigint not null, output_text text, output_image blob, started_at text not null,
  completed_at text, run_id text not null, input_invocation_id text, seed bigint);
create unique index invocations_unique_run_sequence_index on invocations (run_id, sequence_number);
create table embeddings (id text not null primary key, embedding_model text not null,
  vector blob not null, started_at text not null, completed_at text, invocation_id text not null);
create unique index embeddings_unique_invocation_model_index
  on embeddings (invocation_id, embedding_model);
create table persistence_diagrams (id text not null primary key, embedding_model text not null,
  diagram_data blob, started_at text not null, completed_at text, run_id text not null);
create unique index persistence_diagrams_unique_run_model_index
  on persistence_diagrams (run_id, embedding_model);
"""

NETWORK = ["FluxSchnell", "Moondream"]
PROMPTS = ["a red apple", "the moon ☾"]
DGMS = [
    np.array([[0, 0.5], [0, np.inf]], np.float32),
    np.empty((0, 2), np.float32),
    np.array([[0.25, 0.75]], np.float32),
]
ENTROPY = np.array([0.1, 0.0, 0.3])


@lru_cache(512)
def picture(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), (number % 256, 10, 20)).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def caption(run: int, step: int) -> str:
    return f"caption of run {run} at step {step} ☾"


def vector(run: int, step: int) -> Any:
    return np.random.default_rng([run, step]).random(4, dtype=np.float32)


def npz() -> bytes:
    """Return a diagram as upstream's Python stores it."""
    stream = io.BytesIO()
    parts: dict[str, Any] = {f"dgms_{place}": dgm for place, dgm in enumerate(DGMS)}
    np.savez_compressed(stream, **parts, dgms_count=np.array([3]), entropy=ENTROPY)
    return stream.getvalue()


def term(value: Any) -> bytes:
    """Return a value in Erlang's external term format, without its head."""
    if isinstance(value, dict):
        pairs = b"".join(atom(key) + term(one) for key, one in value.items())
        return b"t" + struct.pack(">I", len(value)) + pairs
    if isinstance(value, list):
        if not value:
            return b"j"
        return b"l" + struct.pack(">I", len(value)) + b"".join(map(term, value)) + b"j"
    if isinstance(value, float):
        return atom("infinity") if value == float("inf") else b"F" + struct.pack(">d", value)
    if isinstance(value, int):
        return b"b" + struct.pack(">i", value)
    return b"m" + struct.pack(">I", len(value)) + value.encode()


def atom(name: str) -> bytes:
    return b"w" + bytes([len(name)]) + name.encode()


def erlang(value: Any, compressed: bool = True) -> bytes:
    body = term(value)
    if compressed:
        return b"\x83P" + struct.pack(">I", len(body)) + zlib.compress(body)
    return b"\x83" + body


def elixir_diagram() -> bytes:
    """Return a diagram as upstream's Elixir stores it."""
    value = {"dgms": [dgm.tolist() for dgm in DGMS], "entropy": ENTROPY.tolist(), "num_edges": 9}
    return erlang(value)


class Writer:
    """A database of one experiment: `n_runs` runs a prompt, of `length` steps each."""

    def __init__(self, path: Path, era: str, n_runs: int, length: int) -> None:
        self.connection = sqlite3.connect(path)
        self.connection.executescript(PYTHON_SCHEMA if era == "python" else ELIXIR_SCHEMA)
        self.era = era
        self.length = length
        self.run_ids: list[str] = []
        self.experiment = self.new_id()
        self._experiment(n_runs)
        for number in range(n_runs * len(PROMPTS)):
            self._run(number, number // n_runs, number % n_runs)
        self.connection.commit()

    def new_id(self) -> str:
        own = uuid.uuid4()
        return own.hex if self.era == "python" else str(own)

    def insert(self, table: str, **values: Any) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        statement = f"insert into {table} ({names}) values ({marks})"
        self.connection.execute(statement, tuple(values.values()))

    def _experiment(self, n_runs: int) -> None:
        shared = {
            "id": self.experiment,
            "networks": json.dumps([NETWORK]),
            "prompts": json.dumps(PROMPTS),
            "embedding_models": json.dumps(["Nomic"]),
            "max_length": self.length,
        }
        if self.era == "python":
            self.insert("experimentconfig", **shared, seeds=json.dumps([-1] * n_runs))
        else:
            self.insert("experiments", **shared, num_runs=n_runs)

    def _run(self, number: int, prompt: int, place: int) -> None:
        own = self.new_id()
        self.run_ids.append(own)
        shared = {
            "id": own,
            "network": json.dumps(NETWORK),
            "max_length": self.length,
            "initial_prompt": PROMPTS[prompt],
            "experiment_id": self.experiment,
        }
        if self.era == "python":
            self.insert("run", **shared, seed=-1)
        else:
            self.insert("runs", **shared, run_number=place)
        for step in range(self.length):
            self._invocation(own, number, step)
        self._diagram(own)

    def _invocation(self, run: str, number: int, step: int) -> None:
        own, is_text = self.new_id(), step % 2 == 1
        image = None if is_text else picture(number + step)
        shared = {
            "id": own,
            "model": NETWORK[step % 2],
            "sequence_number": step,
            "run_id": run,
            "output_text": caption(number, step) if is_text else None,
        }
        if self.era == "python":
            kind = "TEXT" if is_text else "IMAGE"
            times = {"started_at": "2025-07-16 13:07:03.5", "completed_at": "2025-07-16 13:07:05"}
            self.insert("invocation", **shared, **times, type=kind, seed=-1,
                        output_image_data=image)  # fmt: skip
        else:
            times = {
                "started_at": "2026-02-07T13:07:03.500000Z",
                "completed_at": "2026-02-07T13:07:05Z",
            }
            self.insert("invocations", **shared, **times, type="text" if is_text else "image",
                        seed=number * 1000 + step, output_image=image)  # fmt: skip
        if is_text:
            self._embedding(own, number, step)

    def _embedding(self, invocation: str, number: int, step: int) -> None:
        table = "embedding" if self.era == "python" else "embeddings"
        times = {"started_at": "2026-02-07T13:07:03.500000Z"}
        self.insert(table, id=self.new_id(), **times, embedding_model="Nomic",
                    vector=vector(number, step).tobytes(), invocation_id=invocation)  # fmt: skip

    def _diagram(self, run: str) -> None:
        python = self.era == "python"
        self.insert("persistencediagram" if python else "persistence_diagrams",
                    id=self.new_id(), started_at="2026-02-07T13:07:03Z",
                    completed_at="2026-02-07T13:07:05Z", run_id=run, embedding_model="Nomic",
                    diagram_data=npz() if python else elixir_diagram())  # fmt: skip
