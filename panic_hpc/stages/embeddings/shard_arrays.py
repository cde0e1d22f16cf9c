"""The arrays of an embeddings shard, from its journal: a record a run, in order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.stages.outputs import Outputs
from panic_hpc.store.format.shard import Stream
from panic_hpc.store.journal import Journal

MAX_FAILURES = 100
"""Failed rows whose reasons a shard's provenance spells out; all of them are flagged."""

Arrays = dict[str, NDArray[Any] | Stream]


def embeddings_arrays(
    outputs: Outputs, journal: Journal, dimension: int
) -> tuple[Arrays, list[dict[str, Any]]]:
    """Return the shard's arrays by name, and what its provenance tells of failed rows."""
    values = [record.value for record in journal.records]
    steps = [step for value in values for step in value["steps"]]
    flags = [flag for value in values for flag in value["flags"]]
    vectors = Stream("<f4", (len(steps), dimension), _vectors(journal, dimension))
    arrays: Arrays = {
        "runs/index": outputs.indices,
        "runs/key": outputs.keys,
        "runs/n_rows": np.array([len(value["steps"]) for value in values], "<i4"),
        "embeddings/step": np.array(steps, "<i4"),
        "embeddings/vector": vectors,
        "embeddings/flags": np.array(flags, "<u2"),
    }
    return arrays, _failures(outputs, journal)


def _vectors(journal: Journal, dimension: int) -> Iterator[NDArray[np.float32]]:
    for record in journal.records:
        content = journal.read(record.blobs[0])
        yield np.frombuffer(content, "<f4").reshape(-1, dimension)


def _failures(outputs: Outputs, journal: Journal) -> list[dict[str, Any]]:
    found = [
        {"run": int(index), "step": step, "reason": reason}
        for index, record in zip(outputs.indices, journal.records, strict=True)
        for step, reason in record.value["failures"]
    ]
    return found[:MAX_FAILURES]
