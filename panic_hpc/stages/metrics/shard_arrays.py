"""The arrays of a metrics shard, from its journal: a record a run, in order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.stages.metrics.pairs import PairReader
from panic_hpc.store.format.ragged import pack_texts
from panic_hpc.store.format.shard import Stream
from panic_hpc.store.journal import Journal

Arrays = dict[str, NDArray[Any] | Stream]


def metrics_arrays(reader: PairReader, journal: Journal, n_components: int) -> Arrays:
    """Return the shard's arrays by name."""
    records = [record.value for record in journal.records]
    steps = [step for value in records for step in value["steps"]]
    offsets, texts = pack_texts([reason for value in records for reason in value["reasons"]])
    return {
        "runs/index": reader.indices,
        "runs/key": reader.keys,
        "runs/n_rows": np.array([len(value["steps"]) for value in records], "<i4"),
        "metrics/step": np.array(steps, "<i4"),
        "metrics/value": Stream("<f8", (len(steps), n_components), _values(journal, n_components)),
        "metrics/flags": np.array([f for value in records for f in value["flags"]], "<u2"),
        "reasons/offsets": offsets,
        "reasons/values": texts,
    }


def _values(journal: Journal, n_components: int) -> Iterator[NDArray[np.float64]]:
    for record in journal.records:
        content = journal.read(record.blobs[0])
        yield np.frombuffer(content, "<f8").reshape(-1, n_components)
