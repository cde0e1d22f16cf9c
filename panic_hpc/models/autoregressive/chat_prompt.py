"""Prompts as a chat model reads them that draws: in its template, of one length, cut, counted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from panic_hpc.errors import ModelError
from panic_hpc.models.tokens import Count
from panic_hpc.models.transformers_checkpoint import require_vocabulary


class ReadPrompts(NamedTuple):
    """Tokens and attention mask of prompts, rows of one length; how much there was to read."""

    ids: list[list[int]]
    mask: list[list[int]]
    counts: list[Count]


class ChatPrompt:
    """Tokenizes prompts by a processor's parts; every row is `length` long, filled on the left.

    What is too long loses the end of its prompt, and keeps the end of the template: the answer's
    opening, and the token that begins a picture. ModelError where the tokenizer has no vocabulary
    or no such token, or `length` has no room for the template.
    """

    def __init__(self, processor: Any, length: int, model: str) -> None:
        tokenizer = processor.tokenizer
        require_vocabulary(tokenizer, f"the tokenizer of {model}")
        # Checkpoints keep their template with either.
        self._template = getattr(processor, "chat_template", None) or tokenizer.chat_template
        self._tokenizer, self._length = tokenizer, length
        begin = getattr(tokenizer, "boi_token", None)
        if begin is None:
            raise ModelError(f"The tokenizer of {model} has no boi_token, which begins a picture")
        self._begin = str(begin)
        self.begin_of_image = int(tokenizer.convert_tokens_to_ids(begin))
        self._n_behind = _common_end(self._ids("a factory"), self._ids("42"))
        if length <= len(self._ids("")):
            raise ModelError(
                f"{model} has no room for a prompt: its template alone has "
                f"{len(self._ids(''))} tokens",
                hint=f"Set max_sequence_length in [models.{model}]",
            )

    def read(self, prompts: Sequence[str]) -> ReadPrompts:
        """Return the rows of some prompts."""
        rows, counts = [], []
        for prompt in prompts:
            ids = self._ids(prompt)
            counts.append(Count(len(ids), len(ids) > self._length))
            rows.append(self._cut(ids))
        missing = [self._length - len(row) for row in rows]
        return ReadPrompts(
            [
                [self._tokenizer.pad_token_id] * n + row
                for n, row in zip(missing, rows, strict=True)
            ],
            [[0] * n + [1] * len(row) for n, row in zip(missing, rows, strict=True)],
            counts,
        )

    def _cut(self, ids: list[int]) -> list[int]:
        n_before = self._length - self._n_behind
        return ids if len(ids) <= self._length else ids[:n_before] + ids[-self._n_behind :]

    def _ids(self, prompt: str) -> list[int]:
        # verbose=False: the tokenizer warns once of texts beyond its limit.
        return list(self._tokenizer(self._text(prompt) + self._begin, verbose=False)["input_ids"])

    def _text(self, prompt: str) -> str:
        if not self._template:
            return prompt
        chat = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
        return str(
            self._tokenizer.apply_chat_template(
                chat, chat_template=self._template, add_generation_prompt=True, tokenize=False
            )
        )


def _common_end(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two rows end in alike."""
    pairs = enumerate(zip(reversed(first), reversed(second), strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))
