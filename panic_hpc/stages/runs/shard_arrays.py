"""The arrays of a runs shard, from the progress of its runs and the journal's bytes."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.planning.networks import Network
from panic_hpc.stages.runs.progress import InvocationRow, RunProgress, seed_of
from panic_hpc.store.format.column import MODALITIES, OUTPUT_GROUPS, REQUIRED_OUTPUTS
from panic_hpc.store.format.ragged import offsets_of, pack_texts
from panic_hpc.store.format.shard import Stream
from panic_hpc.store.journal import Blob, Journal
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.runs import ENDED, NOISE
from panic_hpc.types import RUNS

Array = NDArray[Any] | Stream


def runs_arrays(
    runs: Sequence[RunProgress], network: Network, journal: Journal
) -> dict[str, Array]:
    """Return the arrays of a runs shard by name; images are read when they are written."""
    produced = [_modality_at(network, step) for run in runs for step in range(run.n_steps)]
    rows = [row for run in runs for row in run.rows]
    return {
        **_run_columns(runs),
        **_invocation_columns(runs, rows, produced, network),
        **_output_columns(rows, produced, journal),
        **_failure_columns(runs),
    }


def _modality_at(network: Network, step: int) -> str:
    return network.models[step % len(network.models)].produces


def _run_columns(runs: Sequence[RunProgress]) -> dict[str, Array]:
    values: dict[str, list[Any]] = {
        "index": [run.run.index for run in runs],
        "key": [run.run.key.encode() for run in runs],
        "network": [run.run.network for run in runs],
        "prompt": [run.run.prompt for run in runs],
        "seed": [run.run.seed for run in runs],
        "noise": [NOISE[run.run.noise] for run in runs],
        "n_steps": [run.n_steps for run in runs],
        "ended": [ENDED[run.ended] for run in runs],
        "loop_start": [run.loop.start if run.loop else -1 for run in runs],
        "loop_length": [run.loop.length if run.loop else 0 for run in runs],
    }
    return _typed("runs", values)


def _invocation_columns(
    runs: Sequence[RunProgress],
    rows: Sequence[InvocationRow],
    produced: Sequence[str],
    network: Network,
) -> dict[str, Array]:
    steps = [step for run in runs for step in range(run.n_steps)]
    values: dict[str, Sequence[Any]] = {
        "step": steps,
        "model": [step % len(network.models) for step in steps],
        "modality": [MODALITIES[modality] for modality in produced],
        "seed": [seed_of(run.run, step) for run in runs for step in range(run.n_steps)],
        "started": [row.started for row in rows],
        "seconds": [row.seconds for row in rows],
        "input_tokens": [row.input_tokens for row in rows],
        "output_tokens": [row.output_tokens for row in rows],
        "flags": [row.flags for row in rows],
    }
    joules = [row.joules for row in rows]
    if not all(map(math.isnan, joules)):
        values["joules"] = joules
    return _typed("invocations", values)


def _output_columns(
    rows: Sequence[InvocationRow], produced: Sequence[str], journal: Journal
) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    # The required ones even where empty, so that readers need not ask.
    for modality in sorted({*REQUIRED_OUTPUTS, *produced}):
        kept = [
            (place, row.blob)
            for place, (row, made) in enumerate(zip(rows, produced, strict=True))
            if made == modality and row.blob is not None
        ]
        blobs = [blob for _, blob in kept]
        group = OUTPUT_GROUPS[modality]
        arrays |= _typed(group, {"invocation": [place for place, _ in kept]})
        arrays |= _ragged(group, blobs, journal)
    return arrays


def _ragged(group: str, blobs: Sequence[Blob], journal: Journal) -> dict[str, Array]:
    offsets = offsets_of(blob.nbytes for blob in blobs)
    # Read from the journal piece by piece: a shard's images may be larger than memory.
    values = Stream("|u1", (int(offsets[-1]),), _contents(blobs, journal))
    return {f"{group}/offsets": offsets, f"{group}/values": values}


def _contents(blobs: Iterable[Blob], journal: Journal) -> Iterator[NDArray[np.uint8]]:
    for blob in blobs:
        yield np.frombuffer(journal.read(blob), dtype=np.uint8)


def _failure_columns(runs: Sequence[RunProgress]) -> dict[str, Array]:
    failed = [(place, run) for place, run in enumerate(runs) if run.ended == "failed"]
    places, steps = [place for place, _ in failed], [run.n_steps for _, run in failed]
    offsets, values = pack_texts([run.failure for _, run in failed])
    columns = _typed("failures", {"run": places, "step": steps})
    return {**columns, "failures/offsets": offsets, "failures/values": values}


def _typed(group: str, values: "dict[str, Any]") -> dict[str, Array]:
    """Return columns of `group` in the dtypes that their kind of result gives them."""
    columns = kind_of(RUNS).by_name
    return {
        f"{group}/{name}": np.array(column, dtype=columns[f"{group}/{name}"].dtype)
        for name, column in values.items()
    }
