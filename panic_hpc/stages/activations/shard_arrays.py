"""The arrays of an activations shard, from its journal: a record a batch of runs, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.store.format.shard import ShardFile, Stream
from panic_hpc.store.journal import Journal
from panic_hpc.store.results.activations import LOCATION_CODES

Heard = Sequence[tuple[int, Mapping[tuple[str, int, int], NDArray[np.float32]]]]
"""(step, vectors by location, layer and pass) of one run."""


def recorded(
    rows: Mapping[int, Heard], differing: Mapping[int, int]
) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of a batch: places of vectors, and a byte string a run."""
    runs, blobs = [], []
    for place, heard in rows.items():
        ordered = [
            (step, LOCATION_CODES[location], layer, passed, vector)
            for step, vectors in heard
            for (location, layer, passed), vector in sorted(
                vectors.items(), key=lambda pair: (LOCATION_CODES[pair[0][0]], *pair[0][1:])
            )
        ]
        places = [[*row[:4], len(row[4])] for row in ordered]
        runs.append({"rows": places, "differing": differing[place]})
        blobs.append(b"".join(np.ascontiguousarray(row[4], "<f4").tobytes() for row in ordered))
    return {"runs": runs}, blobs


def activations_arrays(source: ShardFile, journal: Journal) -> dict[str, NDArray[Any] | Stream]:
    """Return the shard's arrays by name; a model that the network lacks heard nothing."""
    runs = [run for record in journal.records for run in record.value["runs"]]
    n_runs = len(source.array("runs/index"))
    runs += [{"rows": [], "differing": 0}] * (n_runs - len(runs))
    rows = np.array([row for run in runs for row in run["rows"]], "<i8").reshape(-1, 5)
    offsets = offsets_of(rows[:, 4])
    values = (
        np.frombuffer(journal.read(blob), "<f4")
        for record in journal.records
        for blob in record.blobs
    )
    return {
        "runs/index": source.array("runs/index"),
        "runs/key": source.array("runs/key"),
        "runs/n_rows": np.array([len(run["rows"]) for run in runs], "<i4"),
        "runs/differing": np.array([run["differing"] for run in runs], "<i4"),
        "activations/step": rows[:, 0].astype("<i4"),
        "activations/location": rows[:, 1].astype("|u1"),
        "activations/layer": rows[:, 2].astype("<i2"),
        "activations/pass": rows[:, 3].astype("<i2"),
        "activations/offsets": offsets,
        "activations/values": Stream("<f4", (int(offsets[-1]),), values),
    }
