"""A pipeline tried once, when it is loaded: the size that was asked for, no setting without effect.

Pipelines round sizes, swap them for one of a table, draw large and shrink, and take arguments
that they then ignore. A picture of few steps shows each of these, whatever the class.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from panic_hpc.errors import ModelError

Draw = Callable[[Mapping[str, Any]], Any]
"""From arguments of a call to one picture, a tensor (1, 3, H, W)."""

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


def idle(draw: Draw, arguments: Mapping[str, Any], picture: Any) -> list[str]:
    """Return the judged arguments that change nothing: no other value gives another picture.

    `picture` is that of `arguments`.
    """
    judged = [name for name in JUDGED if name in arguments]
    return [name for name in judged if not _matters(draw, arguments, name, picture)]


def _matters(draw: Draw, arguments: Mapping[str, Any], name: str, picture: Any) -> bool:
    import torch

    for other in _others(arguments, name):
        try:
            if not torch.equal(draw(other), picture):
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
