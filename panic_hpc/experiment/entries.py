"""What may stand in an experiment's lists: prompts, seeds, names, each judged on its own."""

import re
from collections import Counter
from typing import Any

from panic_hpc.models.settings import wrong
from panic_hpc.types import Prompt

UNSEEDED = -1
"""Upstream's seed for "no seed": here a seed drawn by hashing, with per-step noise."""

MAX_PROMPT_CHARACTERS = 2**16

_SURROGATE = re.compile("[\ud800-\udfff]")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not _SURROGATE.search(text)


def _prompt_parts(value: object) -> tuple[object, object]:
    if isinstance(value, str):
        return value, ""
    if isinstance(value, dict):
        if unknown := set(value) - {"text", "group"}:
            raise wrong(f"a prompt has text and group, not {', '.join(sorted(map(str, unknown)))}")
        return value.get("text"), value.get("group", "")
    return value, ""


def as_prompt(value: object) -> Prompt:
    """Return the prompt in a text or a {text, group} table; refuses empty and broken text."""
    if isinstance(value, Prompt):
        # The same object: a copy of each would double what planning a million prompts takes.
        _check(value.text, value.group, bool(value.pictures))
        return value
    return Prompt(*_check(*_prompt_parts(value), False))


def _check(text: object, group: object, has_pictures: bool) -> tuple[str, str]:
    if not isinstance(text, str) or not isinstance(group, str):
        raise wrong("a prompt is a text, or a table of text and group")
    # Blank prompts are refused, not stripped: what is written is what the model reads.
    if not (text.strip() or (has_pictures and not text)):
        raise wrong("an empty prompt")
    if len(text) > MAX_PROMPT_CHARACTERS or len(group) > MAX_PROMPT_CHARACTERS:
        raise wrong(f"a prompt has at most {MAX_PROMPT_CHARACTERS} characters")
    # JSON can write half a pair; UTF-8, and so every tokenizer and file, cannot.
    if not (_is_unicode(text) and _is_unicode(group)):
        raise wrong("half a surrogate pair, which is no Unicode text")
    return text, group


def as_table(prompt: Prompt) -> dict[str, str]:
    """Return the table that `as_prompt` reads."""
    return {"text": prompt.text, "group": prompt.group}


def _duplicates(values: tuple[Any, ...]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def distinct_prompts(prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Return `prompts`; refuses one that is there twice, whatever its groups."""
    if len({prompt.text for prompt in prompts}) == len(prompts):
        return prompts
    # Without its group, which is a label and no part of a run's key, so that two groups would give
    # one key twice.
    if len({(prompt.text, prompt.pictures) for prompt in prompts}) == len(prompts):
        return prompts
    twice = _duplicates(tuple((prompt.text, prompt.pictures) for prompt in prompts))
    named = [repr(text[:60]) + (" with the same pictures" if own else "") for text, own in twice]
    raise wrong(f"more than once: {', '.join(named[:5])}")


def distinct_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return `seeds`; refuses one that is there twice, unless it stands for none."""
    # -1 may be there often: each is another unseeded run.
    twice = [seed for seed in _duplicates(seeds) if seed != UNSEEDED]
    if twice:
        raise wrong(f"more than once: {', '.join(map(str, twice[:5]))}")
    return seeds


def distinct_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names`; refuses one that is there twice."""
    if twice := _duplicates(names):
        raise wrong(f"more than once: {', '.join(twice[:5])}")
    return names


def filled(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return `values`; refuses an empty list."""
    if not values:
        raise wrong("empty; at least one is needed")
    return values
