"""The arrays of shards made of upstream's runs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.store.format import ragged
from panic_hpc.store.format.column import MODALITIES, OUTPUT_GROUPS
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS
from panic_hpc.store.results.runs import NOISE, NOT_KEPT, OUTPUT_EMPTY
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, RUNS, TEXT
from panic_hpc.upstream.database import UpstreamInvocation
from panic_hpc.upstream.diagram import UpstreamDiagram
from panic_hpc.upstream.imported_run import ImportedRun

DIMENSIONS = 3
"""Upstream computes homology up to dimension 2."""

Arrays = dict[str, NDArray[Any]]


def _typed(stage: str, values: dict[str, Any]) -> Arrays:
    columns = kind_of(stage).by_name
    return {name: np.asarray(value, columns[name].dtype) for name, value in values.items()}


def _identity(first: int, runs: Sequence[ImportedRun]) -> dict[str, Any]:
    return {
        "runs/index": np.arange(first, first + len(runs)),
        "runs/key": [run.key for run in runs],
    }


def runs_arrays(first: int, runs: Sequence[ImportedRun]) -> Arrays:
    """Return the arrays of a runs shard."""
    loops = [run.loop() for run in runs]
    rows = [(run, one) for run in runs for one in run.invocations]
    values = {
        **_identity(first, runs),
        "runs/network": [run.network for run in runs],
        "runs/prompt": [run.prompt for run in runs],
        "runs/seed": [run.run.seed for run in runs],
        "runs/noise": [NOISE["per_step" if run.run.seed == -1 else "fixed"] for run in runs],
        "runs/n_steps": [len(run.invocations) for run in runs],
        "runs/ended": [run.ended() for run in runs],
        "runs/loop_start": [start for start, _ in loops],
        "runs/loop_length": [length for _, length in loops],
        "invocations/step": [one.step for _, one in rows],
        "invocations/model": [one.step % len(run.run.network) for run, one in rows],
        "invocations/modality": [MODALITIES[one.modality] for _, one in rows],
        "invocations/seed": [one.seed for _, one in rows],
        "invocations/started": [one.started for _, one in rows],
        "invocations/seconds": [one.seconds for _, one in rows],
        "invocations/input_tokens": np.full(len(rows), -1),
        "invocations/output_tokens": np.full(len(rows), -1),
        "invocations/flags": [_flags(one) for _, one in rows],
        **_failures(runs),
    }
    for modality in (TEXT, IMAGE):
        values |= _outputs(modality, [one for _, one in rows])
    return _typed(RUNS, values)


def _flags(one: UpstreamInvocation) -> int:
    if one.output is None:
        return NOT_KEPT
    return 0 if one.output else OUTPUT_EMPTY


def _outputs(modality: str, invocations: Sequence[UpstreamInvocation]) -> dict[str, Any]:
    group = OUTPUT_GROUPS[modality]
    kept = [
        (place, one.output)
        for place, one in enumerate(invocations)
        if one.modality == modality and one.output is not None
    ]
    offsets, values = ragged.pack([output for _, output in kept])
    rows = [place for place, _ in kept]
    return {f"{group}/invocation": rows, f"{group}/offsets": offsets, f"{group}/values": values}


def _failures(runs: Sequence[ImportedRun]) -> dict[str, Any]:
    found = [
        (place, len(run.invocations), problem)
        for place, run in enumerate(runs)
        for problem in run.problems
    ]
    offsets, values = ragged.pack_texts([problem for _, _, problem in found])
    return {
        "failures/run": [place for place, _, _ in found],
        "failures/step": [step for _, step, _ in found],
        "failures/offsets": offsets,
        "failures/values": values,
    }


def embeddings_arrays(first: int, runs: Sequence[ImportedRun], model: str) -> Arrays:
    """Return the arrays of an embeddings shard."""
    per_run = [run.embeddings.get(model, []) for run in runs]
    rows = [row for own in per_run for row in own]
    sizes = {len(vector) for _, vector in rows}
    if len(sizes) != 1:
        raise PanicError(f"Vectors of {model} have different lengths: {sorted(sizes)}")
    values = {
        **_identity(first, runs),
        "runs/n_rows": [len(own) for own in per_run],
        "embeddings/step": [step for step, _ in rows],
        "embeddings/vector": np.array([vector for _, vector in rows]),
        "embeddings/flags": np.zeros(len(rows)),
    }
    return _typed(EMBEDDINGS, values)


def diagrams_arrays(first: int, runs: Sequence[ImportedRun], model: str) -> Arrays:
    """Return the arrays of a diagrams shard; PanicError for more dimensions than upstream's 3."""
    none = UpstreamDiagram(model, None, np.empty(0), 0.0, "upstream computed none")
    found = [run.diagrams.get(model, none) for run in runs]
    dgms = [diagram.dgms or [] for diagram in found]
    if any(len(own) > DIMENSIONS for own in dgms):
        raise PanicError(f"A diagram of {model} has more than {DIMENSIONS} homology dimensions")
    padded = [[*own, *[np.empty((0, 2), np.float32)] * (DIMENSIONS - len(own))] for own in dgms]
    # Counted here: upstream hands all points to giotto-ph, equal ones too.
    points = [[vector.tobytes() for _, vector in run.embeddings.get(model, [])] for run in runs]
    flat = [dgm for own in padded for dgm in own]
    offsets, values = ragged.pack_texts([diagram.problem for diagram in found])
    return _typed(
        DIAGRAMS,
        {
            **_identity(first, runs),
            "runs/status": [_status(diagram, none) for diagram in found],
            "runs/points": [len(own) for own in points],
            "runs/distinct_points": [len(set(own)) for own in points],
            "runs/complete_dimensions": [len(own) for own in dgms],
            "runs/seconds": [d.seconds if math.isfinite(d.seconds) else 0.0 for d in found],
            "runs/peak_bytes": np.zeros(len(runs)),
            "diagrams/offsets": ragged.offsets_of(len(dgm) for dgm in flat),
            "diagrams/bars": np.concatenate(flat) if flat else np.empty((0, 2)),
            "diagrams/entropy": [_entropy(diagram) for diagram in found],
            "reasons/offsets": offsets,
            "reasons/values": values,
        },
    )


def _status(diagram: UpstreamDiagram, none: UpstreamDiagram) -> int:
    if diagram is none:
        return DIAGRAM_STATUS["missing"]
    return DIAGRAM_STATUS["failed" if diagram.dgms is None else "computed"]


def _entropy(diagram: UpstreamDiagram) -> NDArray[np.float64]:
    found = np.full(DIMENSIONS, np.nan)
    kept = diagram.entropy[:DIMENSIONS]
    found[: len(kept)] = kept
    return found
