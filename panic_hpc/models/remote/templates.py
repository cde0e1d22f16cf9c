"""What a server is asked, by a template: JSON whose texts have places for what an item has.

| place | what stands there |
|---|---|
| `{text}` | the text that is read: the output before, or the prompt's where a picture is read |
| `{seed}` | the item's seed |
| `{image}` | the picture before, as PNG in base64 |
| `{role:NAME}` | the prompt's picture of that role, alike |

A text that is a place and nothing else becomes what stands there, a number for `{seed}`.
"""

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.pictures.stored import FAST_PNG, pillow_module

TEXT_PLACE, SEED_PLACE, IMAGE_PLACE = "text", "seed", "image"
ROLE_PLACE = "role:"
EVERY = "*"
"""In a path: the first entry of a list that has the rest of the path."""

_PLACE = re.compile(r"\{(text|seed|image|role:[A-Za-z0-9_-]{1,64})\}")


def places_in(template: Any) -> set[str]:
    """Return the names of all places in a template."""
    return {name for text in _texts(template) for name in _PLACE.findall(text)}


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a template with its places filled; what is filled in is not looked at again."""
    if isinstance(template, Mapping):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, Sequence) and not isinstance(template, str):
        return [filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    if whole := _PLACE.fullmatch(template):
        return values[whole[1]]
    return _PLACE.sub(lambda place: str(values[place[1]]), template)


def with_values(body: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with values put at dotted places; KeyError names one that is no place."""
    changed = dict(body)
    for place, value in values.items():
        first, _, rest = place.partition(".")
        if not rest:
            changed[first] = value
            continue
        inner = changed.get(first, {})
        if not isinstance(inner, Mapping):
            raise KeyError(place)
        changed[first] = with_values(inner, {rest: value})
    return changed


def found_at(path: str, value: Any) -> Any:
    """Return what stands at a dotted path in a JSON value; LookupError where nothing does."""
    first, _, rest = path.partition(".")
    if not path:
        return value
    if first == EVERY and isinstance(value, list):
        return _first_with(rest, value)
    if isinstance(value, list) and first.isdigit():
        return found_at(rest, value[int(first)])
    if isinstance(value, dict):
        return found_at(rest, value[first])
    raise LookupError(first)


def _first_with(rest: str, values: Sequence[Any]) -> Any:
    for one in values:
        try:
            return found_at(rest, one)
        except LookupError:
            continue
    raise LookupError(EVERY)


def as_png(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture as PNG, the one format that every server takes without loss."""
    stream = io.BytesIO()
    pillow_module().fromarray(picture).save(stream, **FAST_PNG)
    return stream.getvalue()


def as_base64(picture: NDArray[np.uint8]) -> str:
    """Return a picture as PNG in base64."""
    return base64.b64encode(as_png(picture)).decode()


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, Sequence):
        for value in template:
            yield from _texts(value)
