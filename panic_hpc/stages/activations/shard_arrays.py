"""The arrays of an activations shard, from its journal: a record a call, in order.

{"runs": [{"run": place in the shard, "rows": [[step, location, layer, pass, components], …],
"differing": whether its picture came out otherwise}, …]}, with a byte string of vectors a run.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.store.format.shard import ShardFile, Stream
from panic_hpc.store.journal import Blob, Journal
from panic_hpc.store.results.activations import LOCATION_CODES

Heard = Mapping[tuple[str, int, int], NDArray[np.float32]]
"""Vectors of one run in one call, by location, layer and pass."""


def recorded(
    step: int, heard: Mapping[int, Heard], differing: Mapping[int, int]
) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of a call: places of vectors, and a byte string a run."""
    runs, blobs = [], []
    for run, vectors in heard.items():
        places = {(LOCATION_CODES[name], *place): v for (name, *place), v in vectors.items()}
        ordered = [(place, places[place]) for place in sorted(places)]
        rows = [[step, *place, len(vector)] for place, vector in ordered]
        runs.append({"run": run, "rows": rows, "differing": differing[run]})
        blobs.append(b"".join(np.ascontiguousarray(one, "<f4").tobytes() for _, one in ordered))
    return {"runs": runs}, blobs


def activations_arrays(source: ShardFile, journal: Journal) -> dict[str, NDArray[Any] | Stream]:
    """Return the shard's arrays by name; a model that the network lacks heard nothing."""
    n_runs = len(source.array("runs/index"))
    rows: list[list[list[int]]] = [[] for _ in range(n_runs)]
    blobs: list[list[Blob]] = [[] for _ in range(n_runs)]
    differing = [0] * n_runs
    # Calls are in order of steps within a batch, so what a run gathers is too.
    for record in journal.records:
        for one, blob in zip(record.value["runs"], record.blobs, strict=True):
            rows[one["run"]] += one["rows"]
            blobs[one["run"]].append(blob)
            differing[one["run"]] += one["differing"]
    table = np.array([row for own in rows for row in own], "<i8").reshape(-1, 5)
    offsets = offsets_of(table[:, 4])
    values = (np.frombuffer(journal.read(blob), "<f4") for own in blobs for blob in own)
    return {
        "runs/index": source.array("runs/index"),
        "runs/key": source.array("runs/key"),
        "runs/n_rows": np.array([len(own) for own in rows], "<i4"),
        "runs/differing": np.array(differing, "<i4"),
        "activations/step": table[:, 0].astype("<i4"),
        "activations/location": table[:, 1].astype("|u1"),
        "activations/layer": table[:, 2].astype("<i2"),
        "activations/pass": table[:, 3].astype("<i2"),
        "activations/offsets": offsets,
        "activations/values": Stream("<f4", (int(offsets[-1]),), values),
    }
