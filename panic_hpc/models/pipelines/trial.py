"""A pipeline tried once, when it is loaded: the size that was asked for, no setting without effect.

Pipelines round sizes, swap them for one of a table, draw large and shrink, and take arguments
that they then ignore. A picture of few steps shows each of these, whatever the class. What the
models of one pipeline have seen they share, so that the cells of a sweep hardly draw any.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from panic_hpc.errors import ModelError

Asked = Mapping[str, Any]
"""All that decides the picture of a trial beside the weights, as JSON has it."""

Draw = Callable[[Mapping[str, Any]], str]
"""From arguments of a call to the digest of its picture."""

JUDGED = ("guidance_scale", "negative_prompt", "true_cfg_scale")
"""Arguments that pipelines are known to accept and ignore."""


def require_size(name: str, kind: str, asked: Mapping[str, Any], given: Any, decoded: Any) -> None:
    """Raise ModelError where a picture is not as high and wide as asked, or was made larger first.

    `given` and `decoded` are (height, width) of the picture and of what the autoencoder made of
    it, None where that is not known.
    """
    wanted = tuple(asked.get(side, given[at]) for at, side in enumerate(("height", "width")))
    if wanted != given:
        raise ModelError(
            f"{name} is a {kind}: asked for {_size(wanted)} pixels it gives {_size(given)}",
            hint=f"Set the height and width that it can give in [models.{name}]",
        )
    if decoded not in (None, given) and any(side in asked for side in ("height", "width")):
        raise ModelError(
            f"{name} is a {kind}: it draws {_size(decoded)} pixels and resizes them to "
            f"{_size(given)}",
            hint=f"Set arguments.use_resolution_binning = false in [models.{name}], or another "
            "size",
        )


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]} by {size[1]}"


@contextmanager
def decoded_sizes(pipeline: Any) -> Iterator[list[tuple[int, int]]]:
    """Note the (height, width) of what the autoencoder decodes inside the block."""
    sizes: list[tuple[int, int]] = []
    autoencoder = getattr(pipeline, "vae", None)
    if autoencoder is None:
        yield sizes
        return
    decode = autoencoder.decode

    def noted(*given: Any, **options: Any) -> Any:
        result = decode(*given, **options)
        shape = (result[0] if isinstance(result, tuple) else result.sample).shape
        sizes.append((shape[-2], shape[-1]))
        return result

    autoencoder.decode = noted
    try:
        yield sizes
    finally:
        del autoencoder.decode


class Tried:
    """What trials of one pipeline showed; models that share its weights share it.

    Pictures are kept as digests, as a large one has megabytes.
    """

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._by_rest: dict[str, set[str]] = defaultdict(set)
        self._sound: set[str] = set()

    def is_sound(self, asked: Asked) -> bool:
        """Say whether a picture was found right that was asked for alike but for what is judged."""
        return _key_without(asked, JUDGED) in self._sound

    def found_sound(self, asked: Asked) -> None:
        """Keep that a picture is as it was asked for."""
        self._sound.add(_key_without(asked, JUDGED))

    def note(self, asked: Asked, picture: Any) -> None:
        """Keep a picture, a tensor on any device."""
        digest = hashlib.sha256(picture.float().cpu().numpy().tobytes()).hexdigest()
        self._digests[_key_without(asked, ())] = digest
        for name in JUDGED:
            self._by_rest[_key_without(asked, (name,))].add(digest)

    def digest(self, asked: Asked, draw: Callable[[], Any]) -> str:
        """Return the digest of a picture, drawn unless it is known."""
        if _key_without(asked, ()) not in self._digests:
            self.note(asked, draw())
        return self._digests[_key_without(asked, ())]

    def matters(self, name: str, asked: Asked) -> bool:
        """Say whether two values of an argument are known to give two pictures, all else as asked.

        Then it has an effect at every value: no picture equals both.
        """
        return len(self._by_rest[_key_without(asked, (name,))]) > 1


def _key_without(asked: Asked, names: tuple[str, ...]) -> str:
    # Not a content key, which has no infinity: twice a guidance may be one.
    kept = {key: value for key, value in asked.items() if key not in names}
    return json.dumps(kept, sort_keys=True)


def idle(draw: Draw, arguments: Mapping[str, Any], matters: Callable[[str], bool]) -> list[str]:
    """Return the judged arguments that change nothing: no other value gives another picture.

    `matters` says of which it is known already that they change something.
    """
    judged = [name for name in JUDGED if name in arguments]
    return [name for name in judged if not (matters(name) or _changes(draw, arguments, name))]


def _changes(draw: Draw, arguments: Mapping[str, Any], name: str) -> bool:
    import torch

    own = draw(arguments)
    for other in _others(arguments, name):
        try:
            if draw(other) != own:
                return True
        # It does something, if only take more memory.
        except torch.OutOfMemoryError:
            return True
    return False


def _others(arguments: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    value = arguments[name]
    # Twice and one more: 0 and 1 both mean that there is no guidance.
    changed = f"{value} something else" if isinstance(value, str) else 2 * value + 1
    yield {**arguments, name: changed}
    # A pipeline's own default may switch on what the value switches off.
    yield {key: kept for key, kept in arguments.items() if key != name}
