"""The scores of one run: its calls, and what is recorded of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Judged, MetricModel, Score
from panic_hpc.models.loading import on_device
from panic_hpc.stages.calls import Caller, ItemFailure
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.store.results.metrics import SCORE_FAILED, SCORE_TRUNCATED, are_component_names

NOT_A_NUMBER = "a component is not a number"


class Scored(NamedTuple):
    """A run's values (N, K) float64, their flags, and why each item failed, "" where none did."""

    values: NDArray[np.float64]
    flags: list[int]
    reasons: list[str]


def caller_of(model: MetricModel, codec: Codec, other: Codec) -> Caller:
    """Return what calls a loaded metric and gives a Score for each item."""
    n_components = len(model.components)
    if not are_component_names(model.components):
        raise ModelError(f"{model.spec.name} names its components {model.components}")

    def call(items: Sequence[Judged]) -> Sequence[Score]:
        scores = on_device(model, lambda: model.score(list(items)))
        for score in scores:
            if len(score.values) != n_components:
                found = f"{len(score.values)} numbers, not {n_components}"
                raise ModelError(f"{model.spec.name} gave {found}")
        return scores

    return Caller(model.spec.name, model.spec.batch_size, call, _plain_of(codec, other))


def _plain_of(codec: Codec, other: Codec) -> Callable[[Judged], Judged]:
    def plain(item: Judged) -> Judged:
        against = None if item.against is None else other.plain(item.against)
        return Judged(codec.plain(item.output), against)

    return plain


def score_run(
    n_items: int, batches: Iterable[Sequence[Judged]], caller: Caller, n_components: int
) -> Scored:
    """Return the scores of the items of one run, in batches of its own."""
    # NaN and not zeros: a row that nothing fills must not pass for a score.
    values = np.full((n_items, n_components), np.nan)
    flags, reasons = [0] * n_items, [""] * n_items
    for number, batch in enumerate(batches):
        for slot, answer in caller(dict(enumerate(batch))).items():
            row = number * caller.size + slot
            values[row], flags[row], reasons[row] = _judged(answer)
    return Scored(values, flags, reasons)


def _judged(answer: Any) -> tuple[Any, int, str]:
    """Return (values, flags, reason); components that an item has stand though it failed."""
    if isinstance(answer, ItemFailure):
        return np.nan, SCORE_FAILED, answer.reason.splitlines()[0]
    reason = answer.problem or (NOT_A_NUMBER if np.isnan(answer.values).any() else "")
    flags = SCORE_TRUNCATED * answer.truncated | SCORE_FAILED * bool(reason)
    return answer.values, flags, reason


def recorded(steps: Sequence[int], scored: Scored) -> tuple[dict[str, Any], list[bytes]]:
    """Return the journal record of one run: a JSON value and byte strings."""
    value = {"steps": list(steps), "flags": scored.flags, "reasons": scored.reasons}
    return value, [scored.values.tobytes()]
