"""Token counts: how much of a text a model reads, so that nothing is cut in silence."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

NO_LIMIT = 10**6
"""Tokenizers that know no limit say a number far above this."""


class Count(NamedTuple):
    """The tokens of a whole text, -1 where nobody counts, and whether some are not read."""

    n_tokens: int
    is_truncated: bool


Counter = Callable[[str], Count]


def counter_of_tokenizer(tokenizer: Any, limit: int) -> Counter:
    """Return what counts a text's tokens, special ones included, against `limit`."""

    def count(text: str) -> Count:
        # verbose=False: the tokenizer warns once of texts beyond its limit, which is what is asked.
        n_tokens = len(tokenizer(text, truncation=False, verbose=False)["input_ids"])
        return Count(n_tokens, n_tokens > limit)

    return count


def counter_of_pipeline(pipeline: Any, max_sequence_length: int | None) -> Counter:
    """Return what counts a prompt's tokens as the text encoder with the longest limit sees them.

    A prompt is truncated where no text encoder of the pipeline reads all of it. A pipeline
    without tokenizers cannot tell: -1 and not truncated.
    """
    tokenizers = [
        tokenizer
        # Stable Diffusion 3 has three: CLIP's two stop at 77 tokens where T5 reads on.
        for name, tokenizer in sorted(pipeline.components.items())
        if name.startswith("tokenizer") and tokenizer is not None
    ]
    limited = [(_limit(tokenizer, max_sequence_length), tokenizer) for tokenizer in tokenizers]
    limited = [(limit, tokenizer) for limit, tokenizer in limited if limit < NO_LIMIT]
    if not limited:
        return _uncounted
    limit, tokenizer = max(limited, key=lambda pair: pair[0])
    return counter_of_tokenizer(tokenizer, limit)


def _limit(tokenizer: Any, max_sequence_length: int | None) -> int:
    """Return how many tokens are read: CLIP's tokenizers keep to their own limit."""
    # model_max_length is 10**30 where nobody set it.
    own = int(min(tokenizer.model_max_length, NO_LIMIT))
    # max_sequence_length is T5's: pipelines cut CLIP's part at 77 whatever it says.
    if max_sequence_length is None or type(tokenizer).__name__.startswith("CLIP"):
        return own
    return max_sequence_length


def _uncounted(text: str) -> Count:
    return Count(-1, False)


def written(ids: Sequence[int], ends: Sequence[int], limit: int) -> Count:
    """Return how many tokens were written before an end, and whether `limit` came before one."""
    first = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    # An end at the very limit is an end: nothing was cut.
    return Count(first, first == len(ids) >= limit)
