"""The arrays of a diagrams shard, from its journal: a record a run, in order of finishing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.homology.null_models import NULL_MODELS
from panic_hpc.stages.diagrams.clouds import Clouds
from panic_hpc.stages.diagrams.one_diagram import Diagram, DiagramSettings
from panic_hpc.store.format.ragged import offsets_of, pack_texts
from panic_hpc.store.journal import Journal, JournalRecord
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS

N_BEFORE_BARS = 2


def recorded(position: int, diagram: Diagram) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of a diagram: a JSON value and byte strings.

    These are the entropies, the statistics of null models (empty where there are none), and the
    bars of each complete dimension.
    """
    value = {
        "position": position,
        "status": diagram.status,
        "reason": diagram.reason,
        "points": diagram.points,
        "distinct_points": diagram.distinct_points,
        "seconds": diagram.seconds,
        "peak_bytes": diagram.peak_bytes,
    }
    entropies = np.array(diagram.entropies, "<f8").tobytes()
    surrogates = b"" if diagram.surrogates is None else diagram.surrogates.tobytes()
    return value, [entropies, surrogates, *(dgm.astype("<f4").tobytes() for dgm in diagram.dgms)]


def results(journal: Journal) -> list[JournalRecord]:
    """Return the records that are diagrams; the others are notes of attempts."""
    return [record for record in journal.records if "status" in record.value]


def diagrams_arrays(
    clouds: Clouds, settings: DiagramSettings, journal: Journal
) -> dict[str, NDArray[Any]]:
    """Return the shard's arrays by name, in order of runs."""
    n_dimensions = settings.maxdim + 1
    # They were journalled as they finished, which no two jobs do in the same order.
    records = sorted(results(journal), key=lambda record: int(record.value["position"]))
    bars = [dgm for record in records for dgm in _bars(record, n_dimensions, journal)]
    reasons, texts = pack_texts([record.value["reason"] for record in records])
    return {
        "runs/index": clouds.indices,
        "runs/key": clouds.keys,
        "runs/status": np.array([DIAGRAM_STATUS[r.value["status"]] for r in records], "|u1"),
        "runs/points": _column(records, "points", "<i8"),
        "runs/distinct_points": _column(records, "distinct_points", "<i8"),
        "runs/complete_dimensions": np.array(
            [len(r.blobs) - N_BEFORE_BARS for r in records], "|u1"
        ),
        "runs/seconds": _column(records, "seconds", "<f8"),
        "runs/peak_bytes": _column(records, "peak_bytes", "<i8"),
        "diagrams/offsets": offsets_of(len(dgm) for dgm in bars),
        # The empty one first, since concatenate takes no empty list.
        "diagrams/bars": np.concatenate([np.empty((0, 2), "<f4"), *bars]),
        "diagrams/entropy": np.stack([_entropies(r, n_dimensions, journal) for r in records]),
        "reasons/offsets": reasons,
        "reasons/values": texts,
        **_surrogates(records, settings, journal),
    }


def _surrogates(
    records: Sequence[JournalRecord], settings: DiagramSettings, journal: Journal
) -> dict[str, NDArray[Any]]:
    if not settings.surrogates:
        return {}
    shape = (len(NULL_MODELS), settings.surrogates, settings.maxdim + 1, 3)
    rows = np.full((len(records), *shape), np.nan, "<f8")
    for row, record in zip(rows, records, strict=True):
        found = np.frombuffer(journal.read(record.blobs[1]), "<f8")
        if found.size:
            # One pattern of bits for NaN: machines differ in it, and digests are of bits.
            row[...] = np.where(np.isnan(found), np.nan, found).reshape(shape)
    return {"surrogates/statistics": rows}


def _column(records: Sequence[JournalRecord], name: str, dtype: str) -> NDArray[Any]:
    return np.array([record.value[name] for record in records], dtype)


def _bars(record: JournalRecord, n_dimensions: int, journal: Journal) -> list[NDArray[np.float32]]:
    """Return the bars of every dimension; none where it was not computed (the entropy is NaN)."""
    found = [
        np.frombuffer(journal.read(blob), "<f4").reshape(-1, 2)
        for blob in record.blobs[N_BEFORE_BARS:]
    ]
    return found + [np.empty((0, 2), "<f4")] * (n_dimensions - len(found))


def _entropies(record: JournalRecord, n_dimensions: int, journal: Journal) -> NDArray[np.float64]:
    row = np.full(n_dimensions, np.nan, "<f8")
    found = np.frombuffer(journal.read(record.blobs[0]), "<f8")
    # As above: NaN with one pattern of bits.
    row[: len(found)] = np.where(np.isnan(found), np.nan, found)
    return row
