"""The arrays of shards made of upstream's runs."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.keys import content_key
from panic_hpc.store.format import ragged
from panic_hpc.store.format.column import MODALITIES, OUTPUT_GROUPS
from panic_hpc.store.pictures import converted
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS
from panic_hpc.store.results.runs import ENDED, NOISE, NOT_KEPT, OUTPUT_EMPTY
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, RUNS, TEXT
from panic_hpc.upstream.database import (
    UpstreamDatabase,
    UpstreamDiagram,
    UpstreamInvocation,
    UpstreamRun,
    text_id,
)

PICTURE_THREADS = 4
DIMENSIONS = 3
"""Upstream computes homology up to dimension 2."""

Arrays = dict[str, NDArray[Any]]
Vectors = list[tuple[int, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """One run of upstream's with all that belongs to it.

    Steps after a gap cannot be part of a run: they are left out, which `problems` say.
    """

    run: UpstreamRun
    network: int
    prompt: int
    invocations: Sequence[UpstreamInvocation]
    embeddings: dict[str, Vectors]
    diagrams: dict[str, UpstreamDiagram]
    problems: tuple[str, ...]

    @classmethod
    def read(cls, source: UpstreamDatabase, run: UpstreamRun, network: int, prompt: int) -> Self:
        """Read a run; PanicError where one model's vectors have different lengths."""
        found = list(source.invocations(run))
        kept = [one for place, one in enumerate(found) if one.step == place]
        kept = kept[: next((p for p, one in enumerate(found) if one.step != p), len(found))]
        problems = []
        if len(kept) < len(found):
            problems.append(
                f"run {text_id(run)}: step {len(kept)} is missing or there twice, "
                f"{len(found) - len(kept)} invocations from there on are left out"
            )
        wrong = [one for one in kept if one.model != run.network[one.step % len(run.network)]]
        if wrong:
            problems.append(
                f"run {text_id(run)}: step {wrong[0].step} is by {wrong[0].model}, which is not "
                "the model that its network has there"
            )
        kept, unreadable = _with_stored_pictures(kept)
        problems += [f"run {text_id(run)}: {problem}, which is left out" for problem in unreadable]
        empty = sum(one.output is None for one in kept)
        if empty:
            problems.append(f"run {text_id(run)}: {empty} invocations have no output")
        embeddings: dict[str, Vectors] = {}
        for model, step, vector in source.embeddings(run):
            # An embedding of a step that was left out would point to no invocation.
            if step < len(kept):
                embeddings.setdefault(model, []).append((step, vector))
        diagrams = {diagram.model: diagram for diagram in source.diagrams(run)}
        return cls(run, network, prompt, kept, embeddings, diagrams, tuple(problems))

    @property
    def id(self) -> str:
        """Upstream's id of the run."""
        return text_id(self.run)

    @property
    def key(self) -> bytes:
        """The run's key: upstream's id decides, since seeds of -1 are many runs'."""
        return content_key(["upstream", self.id]).encode()

    @property
    def nbytes(self) -> int:
        """About how much memory the run takes."""
        outputs = sum(len(one.output or b"") for one in self.invocations)
        vectors = sum(v.nbytes for rows in self.embeddings.values() for _, v in rows)
        return outputs + vectors

    def loop(self) -> tuple[int, int]:
        """Return (start, length) of the loop that ended the run, (-1, 0) where none did.

        As upstream: the last output is equal to an earlier one, and there was a seed.
        """
        outputs = [one.output for one in self.invocations]
        # Without a seed upstream's steps are random, so an equal output ends nothing.
        if self.run.seed == -1 or not outputs or outputs[-1] is None:
            return -1, 0
        if len(outputs) == self.run.max_length or outputs[-1] not in outputs[:-1]:
            return -1, 0
        start = outputs.index(outputs[-1])
        return start, len(outputs) - 1 - start

    def ended(self) -> int:
        """Return the code of why the run ended."""
        if len(self.invocations) == self.run.max_length:
            return ENDED["length"]
        return ENDED["loop" if self.loop()[1] else "unknown"]


def _with_stored_pictures(
    invocations: Sequence[UpstreamInvocation],
) -> tuple[list[UpstreamInvocation], list[str]]:
    """Return invocations with their pictures as this package stores them, and which are none.

    Upstream's Elixir years stored AVIF: its pixels are kept without further loss, its bytes too
    where they are as plain as an AVIF that is stored here.
    """
    # Decoders let go of Python's lock.
    with ThreadPoolExecutor(PICTURE_THREADS) as threads:
        found = list(threads.map(_with_stored_picture, invocations))
    return [one for one, _ in found], [problem for _, problem in found if problem]


def _with_stored_picture(one: UpstreamInvocation) -> tuple[UpstreamInvocation, str]:
    if one.modality != IMAGE or one.output is None:
        return one, ""
    try:
        return replace(one, output=converted(one.output)), ""
    except ValueError as error:
        return replace(one, output=None), f"the picture of step {one.step} is none ({error})"


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
