"""The embedding of one run: its inputs, the calls, what is recorded of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ModelError
from panic_hpc.models.base import EmbeddingModel
from panic_hpc.models.loading import on_device
from panic_hpc.stages.calls import Caller, ItemFailure
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.stages.embeddings.shard_arrays import MAX_FAILURES
from panic_hpc.stages.outputs import Outputs
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED, EMBEDDING_TRUNCATED


class Inputs(NamedTuple):
    """What one run gives an embedding model to read: steps, and values in the same order."""

    position: int
    steps: list[int]
    values: list[Any]


class Embedded(NamedTuple):
    """A run's vectors (N, D) float32, their flags, and (step, reason) of those that failed."""

    vectors: NDArray[np.float32]
    flags: list[int]
    failures: list[tuple[int, str]]


class Reader:
    """Reads one run's inputs: the prompt first where there is one, then its outputs."""

    def __init__(self, outputs: Outputs, codec: Codec, prompts: Sequence[Any] | None) -> None:
        self.outputs = outputs
        self.codec = codec
        self.prompts = prompts

    def __call__(self, position: int) -> Inputs:
        """Return the inputs of the run at `position` in its shard."""
        stored = self.outputs.decoded(position, self.codec)
        steps = [step for step, _ in stored]
        values = [value for _, value in stored]
        if self.prompts is None or self.prompts[position] is None:
            return Inputs(position, steps, values)
        # Step -1 in the first batch of the run, so that which slots the outputs have depends on the
        # run alone.
        return Inputs(position, [-1, *steps], [self.prompts[position], *values])


def caller_of(model: EmbeddingModel, codec: Codec) -> Caller:
    """Return what calls a loaded model and gives (vector, was truncated) for each item."""
    size = model.spec.batch_size

    def call(items: Sequence[Any]) -> Sequence[tuple[NDArray[np.float32], bool]]:
        vectors, truncated = on_device(model, lambda: model.embed(list(items)))
        # Told at the first call; a wider dtype would be stored as noise, since the journal holds
        # bare bytes.
        if vectors.shape != (size, model.dimension) or vectors.dtype != np.float32:
            found = f"{vectors.dtype} {vectors.shape}"
            raise ModelError(f"{model.spec.name} gave {found}, not float32 {size, model.dimension}")
        return list(zip(vectors, truncated.tolist(), strict=True))

    return Caller(model.spec.name, size, call, codec.plain)


def embed(inputs: Inputs, caller: Caller, dimension: int) -> Embedded:
    """Return the vectors of one run, in batches of its own."""
    # NaN and not zeros: a row that nothing fills must not pass for a vector.
    vectors = np.full((len(inputs.steps), dimension), np.nan, np.float32)
    flags, failures = [0] * len(inputs.steps), []
    for first in range(0, len(inputs.values), caller.size):
        batch = inputs.values[first : first + caller.size]
        for slot, answer in caller(dict(enumerate(batch))).items():
            row = first + slot
            vectors[row], flags[row], reason = _judged(answer)
            failures += [(inputs.steps[row], reason)] if reason else []
    return Embedded(vectors, flags, failures)


def _judged(answer: Any) -> tuple[Any, int, str]:
    """Return (vector, flags, reason of failure); a failed row is NaN throughout, never zero."""
    if isinstance(answer, ItemFailure):
        return np.nan, EMBEDDING_FAILED, answer.reason
    vector, is_truncated = answer
    # Upstream turned NaN into 0 in silence: cosines between two processes then differed by up to
    # 0.44.
    if not np.isfinite(vector).all():
        return np.nan, EMBEDDING_FAILED, "the vector is not finite"
    return vector, EMBEDDING_TRUNCATED * is_truncated, ""


def recorded(inputs: Inputs, embedded: Embedded) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of one run: a JSON value and byte strings."""
    value = {
        "steps": inputs.steps,
        "flags": embedded.flags,
        "failures": [list(failure) for failure in embedded.failures[:MAX_FAILURES]],
    }
    return value, [embedded.vectors.tobytes()]
