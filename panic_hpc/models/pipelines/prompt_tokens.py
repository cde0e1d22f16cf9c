"""How much of its prompts a pipeline reads, by listening to its own tokenizers.

Templates, system messages, cleaning and limits are each pipeline's own, so nothing is assumed of
them: what a tokenizer was given is counted, whole, against the length that it was told to cut at.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from panic_hpc.models.tokens import Count


class _Call(NamedTuple):
    """One call of a tokenizer: its texts, where it cut them (None: nowhere), how it counts."""

    texts: Sequence[str]
    limit: int | None
    count: Any


class PromptListener:
    """Counts the tokens of prompts while a pipeline reads them.

    A prompt is truncated where no tokenizer read all of it; its count is that of the tokenizer
    that reads furthest. `read_limit` is how many tokens a pipeline keeps of what was encoded, None
    where it keeps all.
    """

    def __init__(self, tokenizers: Mapping[str, Any], read_limit: int | None = None) -> None:
        self.read_limit = read_limit
        self._calls: dict[str, list[_Call]] = {name: [] for name in tokenizers}
        self._is_open = False
        for name, tokenizer in tokenizers.items():
            self._attach(name, tokenizer)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note what the tokenizers are given inside the block, and forget what was before."""
        for calls in self._calls.values():
            calls.clear()
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False

    def counts(self, prompts: Sequence[str]) -> list[Count]:
        """Return what was read of each prompt of the last block; -1 without tokenizers."""
        return [self._count(place, prompts) for place in range(len(prompts))]

    def _count(self, place: int, prompts: Sequence[str]) -> Count:
        heard = (_reading(calls, place, prompts) for calls in self._calls.values())
        readings = [reading for reading in heard if reading is not None]
        if not readings:
            return Count(-1, False)
        counts = [(call.count(text), _limit(call, self.read_limit)) for text, call in readings]
        # The first of those that read furthest.
        n_tokens, _ = max(counts, key=lambda pair: pair[1])
        return Count(n_tokens, all(n > limit for n, limit in counts))

    def _attach(self, name: str, tokenizer: Any) -> None:
        """Give one tokenizer a class of its own, which notes its calls; it stays what it was."""
        original: Any = type(tokenizer)
        calls = self._calls[name]

        def call(this: Any, text: Any = None, *more: Any, **options: Any) -> Any:
            if self._is_open and isinstance(text, str | list | tuple):
                calls.append(_noted(original, this, text, options))
            return original.__call__(this, text, *more, **options)

        # __call__ is looked up on the class, so an attribute of the object would not be heard.
        tokenizer.__class__ = type(original.__name__, (original,), {"__call__": call})


def _noted(original: Any, tokenizer: Any, text: Any, options: Mapping[str, Any]) -> _Call:
    special = {k: options[k] for k in ("add_special_tokens",) if k in options}

    def count(whole: str) -> int:
        # verbose=False: the tokenizer warns once of texts beyond its limit, which is what is asked.
        encoded = original.__call__(tokenizer, whole, truncation=False, verbose=False, **special)
        return len(encoded["input_ids"])

    cuts = options.get("truncation") not in (None, False, "do_not_truncate")
    limit = (options.get("max_length") or tokenizer.model_max_length) if cuts else None
    return _Call([text] if isinstance(text, str) else list(text), limit, count)


def _reading(
    calls: Sequence[_Call], place: int, prompts: Sequence[str]
) -> tuple[str, _Call] | None:
    """Return the text that held a prompt, and the call that read it; None where none did.

    The first call that cuts, else the first: pipelines tokenize uncut too, to say what they cut,
    and negative prompts later.
    """
    found = [(text, call) for call in calls if (text := _text_of(call, place, prompts)) is not None]
    cutting = [pair for pair in found if pair[1].limit is not None]
    return next(iter(cutting or found), None)


def _text_of(call: _Call, place: int, prompts: Sequence[str]) -> str | None:
    """Return the text of a call that is about the prompt at `place`."""
    # One text a call, or one an item; glyph tokenizers get quoted parts only.
    is_batch = len(call.texts) == len(prompts)
    texts = [call.texts[place]] if is_batch else call.texts
    wanted = _plain(prompts[place])
    return next((text for text in texts if isinstance(text, str) and wanted in _plain(text)), None)


def _plain(text: str) -> str:
    # Pipelines strip, lower and collapse spaces before they tokenize.
    return "".join(text.casefold().split())


def _limit(call: _Call, read_limit: int | None) -> float:
    limits = [limit for limit in (call.limit, read_limit) if limit is not None]
    return min(limits, default=float("inf"))


def read_limit(pipeline: Any, arguments: Mapping[str, Any]) -> int | None:
    """Return how many tokens are kept of an encoded prompt by pipelines that cut afterwards."""
    start = getattr(pipeline, "prompt_template_encode_start_idx", None)
    accepted = inspect.signature(pipeline.__call__).parameters
    if start is None or "max_sequence_length" not in accepted:
        return None
    default = accepted["max_sequence_length"].default
    kept = arguments.get("max_sequence_length", default)
    return int(kept) + int(start) if isinstance(kept, int) else None
