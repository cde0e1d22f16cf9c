"""Pictures that people give: read once, turned into what is stored, known by their pixels.

What a picture is must not depend on who looks: one that says how to turn it is turned, one whose
pixels cannot be told without a guess (transparency, 16 bits, several frames) is refused.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.files import open_regular
from panic_hpc.errors import ShardError
from panic_hpc.pictures.avif import has_deep_colours
from panic_hpc.pictures.stored import (
    FOREIGN_FORMATS,
    PNG_SIGNATURE,
    decoded,
    opened,
    pillow_module,
    pixel_digest,
    read_head,
    require_size,
    without_loss,
)

T = TypeVar("T")

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
MAX_BYTES = 256 * 2**20

# 1 and L are masks and greys, which become three equal colours; the others lose nothing either.
_MODES = ("RGB", "L", "1", "P")


class GivenPicture(NamedTuple):
    """A picture as it will be stored: its digest, the encoded bytes, its height and width."""

    digest: str
    content: bytes
    height: int
    width: int


def read_given(path: Path) -> GivenPicture:
    """Return the picture in a person's file; ValueError with the reason where it is none to take.

    PNG, JPEG, WebP and AVIF of 8 bits a colour or grey are taken, of at most 8192² pixels.
    """
    status = path.stat()
    # Opening a FIFO would wait for ever.
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 2**20} MiB")
    return given_picture(path.read_bytes())


def given_picture(content: bytes) -> GivenPicture:
    """Return a person's picture as it will be stored; ValueError as `read_given` raises it."""
    encoded = _known(content, _as_given)
    # Through the door for stored pictures, so that what is planned is what every reader decodes.
    pixels = decoded(encoded)
    return GivenPicture(pixel_digest(pixels), encoded, *pixels.shape[:2])


def given_pixels(content: bytes) -> NDArray[np.uint8]:
    """Return a picture that somebody else made as (H, W, 3) uint8; ValueError as `read_given`."""
    return _known(content, _pixels)


class KeptPicture(NamedTuple):
    """A picture that plan kept: its bytes, and (H, W, 3) uint8."""

    content: bytes
    pixels: NDArray[np.uint8]


def read_kept(path: Path, digest: str) -> KeptPicture:
    """Return a picture that plan kept; ValueError where its pixels are not those of `digest`."""
    with open_regular(path) as stream:
        content = stream.read()
    pixels = decoded(content)
    if pixel_digest(pixels) != digest:
        raise ValueError("its pixels are not those that the experiment was planned with")
    return KeptPicture(content, pixels)


def require_kept(path: Path, digest: str) -> KeptPicture:
    """Return a picture that plan kept; ShardError where it is not there, or is another."""
    try:
        return read_kept(path, digest)
    except (OSError, ValueError) as error:
        raise ShardError(
            f"{path}, a picture of a prompt, cannot be used ({error})",
            hint="Plan the experiment anew in a new directory",
        ) from error


def _known(content: bytes, use: Callable[[Any], T]) -> T:
    head = read_head(content)
    # Before a decoder is opened: that of WebP allocates a canvas to say how large it is.
    if head is not None and head.width:
        require_size(head.width, head.height)
    _require_eight_bits(content)
    try:
        return opened(content, FOREIGN_FORMATS, use)
    except ValueError as error:
        if isinstance(error.__cause__, pillow_module().UnidentifiedImageError):
            raise ValueError("it is no PNG, JPEG, WebP or AVIF") from error
        raise


def _require_eight_bits(content: bytes) -> None:
    """Raise ValueError for colours of more than 8 bits, which Pillow would cut without a word."""
    bits = content[24:25] if content.startswith(PNG_SIGNATURE) else b""
    if (bits and bits[0] > 8) or has_deep_colours(content):
        raise ValueError("its colours have more than 8 bits; save it as 8-bit RGB or grey")


def _as_given(picture: Any) -> bytes:
    # Without EXIF and colour profiles, which may name places and people.
    return without_loss(pillow_module().fromarray(_pixels(picture)))


def _pixels(picture: Any) -> NDArray[np.uint8]:
    require_size(*picture.size)
    _require_plain(picture)
    return np.asarray(_upright(picture).convert("RGB"))


def _require_plain(picture: Any) -> None:
    mode, info = getattr(picture, "mode", ""), getattr(picture, "info", {})
    if mode not in _MODES or "transparency" in info:
        raise ValueError(
            f"its pixels are {mode}{' with transparency' if 'transparency' in info else ''}; "
            "save it as 8-bit RGB or grey"
        )
    if getattr(picture, "n_frames", 1) != 1:
        # Cameras put a preview beside a picture in one JPEG.
        is_camera_s = picture.format == "MPO"
        several = "it holds several pictures; save the first alone"
        raise ValueError(several if is_camera_s else "it is animated")


def _upright(picture: Any) -> Any:
    """Return the picture turned as its EXIF says: cameras store what their sensor saw."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)
