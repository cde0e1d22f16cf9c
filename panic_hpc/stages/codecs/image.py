"""Images are stored losslessly, as WebP or PNG, or as AVIF where an experiment asks for it.

At 1024² lossless WebP takes a quarter of PNG's time and 15 % less space; docs/format.md compares.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from panic_hpc.pictures.stored import (
    AVIF_OPTIONS,
    FAST_PNG,
    LOSSLESS_WEBP,
    MAX_PIXELS,
    WEBP_SIDE,
    avif_versions,
    decoded,
    pillow_module,
    pixel_digest,
)
from panic_hpc.types import IMAGE

_LOSSLESS = {"webp-lossless": LOSSLESS_WEBP, "png": FAST_PNG}


class ImageCodec:
    """The codec of (H, W, 3) uint8 images."""

    name = IMAGE

    def problem(self, value: Any) -> str:
        """Return what is wrong with a picture."""
        if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
            return f"an array of uint8 was expected, not {_described(value)}"
        if value.ndim != 3 or value.shape[2] != 3 or value.size == 0:
            return f"an image of shape (H, W, 3) was expected, not {value.shape}"
        height, width = value.shape[:2]
        is_small = max(height, width) <= WEBP_SIDE and height * width <= MAX_PIXELS
        return "" if is_small else f"an image of {value.shape} is too large"

    def readable_at_once(self, value: np.ndarray, option: str) -> np.ndarray | None:
        """Return the pixels, not to be written to, where `option` loses nothing of them."""
        if option not in _LOSSLESS:
            return None
        view = value.view()
        # As decoded ones are: the next model must not change what is being encoded.
        view.flags.writeable = False
        return view

    def encode(self, value: np.ndarray, option: str) -> bytes:
        """Return the file's bytes; `option` is "webp-lossless", "png" or "avif-" and a quality."""
        stream = io.BytesIO()
        pillow_module().fromarray(value).save(stream, **_save_options(option))
        return stream.getvalue()

    def decode(self, content: bytes) -> np.ndarray:
        """Return the (H, W, 3) uint8 pixels; ValueError where they are no stored picture."""
        return decoded(content)

    def numerics(self, option: str) -> Mapping[str, str]:
        """Return the versions of AVIF's libraries where these decide what pictures become."""
        return {} if option in _LOSSLESS else avif_versions()

    def plain(self, value: np.ndarray) -> np.ndarray:
        """Return a grey picture of the same size."""
        # The same size, since kernels are chosen by shape; grey, which no processor divides by zero
        # for.
        return np.full_like(value, 128)

    def digest(self, value: np.ndarray) -> str:
        """Return the digest of shape and pixels, so that it does not depend on the codec."""
        return pixel_digest(value)


def _save_options(option: str) -> Mapping[str, Any]:
    if option in _LOSSLESS:
        return _LOSSLESS[option]
    return {**AVIF_OPTIONS, "quality": int(option.removeprefix("avif-"))}


def _described(value: Any) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__


PLUGINS = (ImageCodec(),)
