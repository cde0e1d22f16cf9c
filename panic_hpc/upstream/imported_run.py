"""One run of upstream's, with all that belongs to it, as a dataset can hold it."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from panic_hpc.keys import content_key
from panic_hpc.pictures.stored import converted
from panic_hpc.store.results.runs import ENDED
from panic_hpc.types import IMAGE
from panic_hpc.upstream.cells import text_id
from panic_hpc.upstream.database import UpstreamDatabase, UpstreamInvocation, UpstreamRun
from panic_hpc.upstream.diagram import UpstreamDiagram

PICTURE_THREADS = 4
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
        """Read a run; PanicError, naming the cell, where a column holds something else."""
        found = list(source.invocations(run))
        kept = [one for place, one in enumerate(found) if one.step == place]
        kept = kept[: next((p for p, one in enumerate(found) if one.step != p), len(found))]
        problems = []
        if len(kept) < len(found):
            problems.append(
                f"run {text_id(run.id)}: step {len(kept)} is missing or there twice, "
                f"{len(found) - len(kept)} invocations from there on are left out"
            )
        wrong = [one for one in kept if one.model != run.network[one.step % len(run.network)]]
        if wrong:
            problems.append(
                f"run {text_id(run.id)}: step {wrong[0].step} is by {wrong[0].model}, which is not "
                "the model that its network has there"
            )
        kept, unreadable = _with_stored_pictures(kept)
        problems += [
            f"run {text_id(run.id)}: {problem}, which is left out" for problem in unreadable
        ]
        empty = sum(one.output is None for one in kept)
        if empty:
            problems.append(f"run {text_id(run.id)}: {empty} invocations have no output")
        embeddings, unlike = _embeddings(source, run, len(kept))
        diagrams: dict[str, UpstreamDiagram] = {}
        for diagram in source.diagrams(run):
            if diagram.model in diagrams:
                unlike.append(f"{diagram.model} has two diagrams, the last one is kept")
            diagrams[diagram.model] = diagram
        problems += [f"run {text_id(run.id)}: {problem}" for problem in unlike]
        return cls(run, network, prompt, kept, embeddings, diagrams, tuple(problems))

    @property
    def id(self) -> str:
        """Upstream's id of the run."""
        return text_id(self.run.id)

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


def _embeddings(
    source: UpstreamDatabase, run: UpstreamRun, n_steps: int
) -> tuple[dict[str, Vectors], list[str]]:
    """Return a run's vectors by model, of one length and one a step, and what was left out."""
    found: dict[str, Vectors] = {}
    for model, step, vector in source.embeddings(run):
        # An embedding of a step that was left out would point to no invocation.
        if step < n_steps:
            found.setdefault(model, []).append((step, vector))
    problems = []
    for model, rows in found.items():
        [(length, _)] = Counter(len(vector) for _, vector in rows).most_common(1)
        kept = {step: (step, vector) for step, vector in reversed(rows) if len(vector) == length}
        if len(kept) < len(rows):
            problems.append(
                f"{len(rows) - len(kept)} vectors of {model} are left out, which have another "
                f"length than {length}, or a step that has one already"
            )
        found[model] = [kept[step] for step in sorted(kept)]
    return found, problems


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
