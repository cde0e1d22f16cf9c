"""Token counts: how much of a text a model reads, so that nothing is cut in silence."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


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


def written(ids: Sequence[int], ends: Sequence[int], limit: int) -> Count:
    """Return how many tokens were written before an end, and whether `limit` came before one."""
    first = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    # An end at the very limit is an end: nothing was cut.
    return Count(first, first == len(ids) >= limit)
