"""The embedding of one run: its inputs, the calls, what is recorded of them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ModelError
from panic_hpc.models.base import EmbeddingModel
from panic_hpc.models.loading import on_device
from panic_hpc.stages.calls import Caller, ItemFailure
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.stages.embeddings.shard_arrays import MAX_FAILURES
from panic_hpc.stages.outputs import PROMPT_STEP, Decoder, Outputs
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED, EMBEDDING_TRUNCATED


class Embedded(NamedTuple):
    """A run's vectors (N, D) float32, their flags, and (step, reason) of those that failed."""

    vectors: NDArray[np.float32]
    flags: list[int]
    failures: list[tuple[int, str]]


class Reader:
    """Reads the inputs of runs batch by batch: a prompt first where there is one, then outputs."""

    def __init__(
        self, outputs: Outputs, codec: Codec, prompts: Sequence[Any] | None, batch_size: int
    ) -> None:
        self.outputs, self.prompts, self._size = outputs, prompts, batch_size
        self._decode = Decoder(outputs, codec)

    def steps(self, position: int) -> list[int]:
        """Return the steps of what a run gives to read."""
        # Step -1 in the first batch of the run, so that which slots the outputs have depends on the
        # run alone.
        has_prompt = self.prompts is not None and self.prompts[position] is not None
        return [*([PROMPT_STEP] if has_prompt else []), *self.outputs.steps(position)]

    def parts(self, position: int) -> list[list[int]]:
        """Return the steps of each batch of a run."""
        steps = self.steps(position)
        return [steps[first : first + self._size] for first in range(0, len(steps), self._size)]

    def read(self, position: int, part: list[int]) -> list[Any]:
        """Return the values of a batch."""
        values = self._decode((position, step) for step in part if step != PROMPT_STEP)
        prompt = self.prompts[position] if self.prompts is not None else None
        return [prompt if step == PROMPT_STEP else values[position, step] for step in part]


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


def embed(
    steps: Sequence[int], batches: Iterable[list[Any]], caller: Caller, dimension: int
) -> Embedded:
    """Return the vectors of one run, in batches of its own."""
    # NaN and not zeros: a row that nothing fills must not pass for a vector.
    vectors = np.full((len(steps), dimension), np.nan, np.float32)
    flags, failures = [0] * len(steps), []
    for number, batch in enumerate(batches):
        for slot, answer in caller(dict(enumerate(batch))).items():
            row = number * caller.size + slot
            vectors[row], flags[row], reason = _judged(answer)
            failures += [(steps[row], reason)] if reason else []
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


def recorded(steps: Sequence[int], embedded: Embedded) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of one run: a JSON value and byte strings."""
    value = {
        "steps": list(steps),
        "flags": embedded.flags,
        "failures": [list(failure) for failure in embedded.failures[:MAX_FAILURES]],
    }
    return value, [embedded.vectors.tobytes()]
