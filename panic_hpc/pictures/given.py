"""Pictures that people give: read once, turned into what is stored, known by their pixels.

What a picture is must not depend on who looks: one that says how to turn it is turned, one whose
pixels cannot be told without a guess (transparency, 16 bits, several frames) is refused.
"""

import io
import stat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.pictures.stored import (
    FAST_PNG,
    FOREIGN_FORMATS,
    LOSSLESS_WEBP,
    WEBP_SIDE,
    decoded,
    pillow_module,
    pixel_digest,
    require_size,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
MAX_BYTES = 256 * 2**20

# 1 and L are masks and greys, which become three equal colours; the others lose nothing either.
_MODES = ("RGB", "L", "1", "P")
_DECODER_ERRORS = (OSError, SyntaxError, EOFError, LookupError, OverflowError, RuntimeError)


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
    encoded = _encoded(content)
    # Through the door for stored pictures, so that what is planned is what every reader decodes.
    pixels = decoded(encoded)
    return GivenPicture(pixel_digest(pixels), encoded, *pixels.shape[:2])


def read_stored(path: Path, digest: str) -> NDArray[np.uint8]:
    """Return the pixels of a stored picture; ValueError where they are not those of `digest`."""
    pixels = decoded(path.read_bytes())
    if pixel_digest(pixels) != digest:
        raise ValueError("its pixels are not those that the experiment was planned with")
    return pixels


def _encoded(content: bytes) -> bytes:
    pillow = pillow_module()
    try:
        with pillow.open(io.BytesIO(content), formats=FOREIGN_FORMATS) as picture:
            require_size(*picture.size)
            _require_plain(picture)
            return _lossless(_upright(picture))
    except ValueError:
        raise
    except pillow.UnidentifiedImageError as error:
        raise ValueError("it is no PNG, JPEG, WebP or AVIF") from error
    # The warning is raised where warnings are errors.
    except (
        *_DECODER_ERRORS,
        pillow.DecompressionBombError,
        pillow.DecompressionBombWarning,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _require_plain(picture: Any) -> None:
    mode, info = getattr(picture, "mode", ""), getattr(picture, "info", {})
    if mode not in _MODES or "transparency" in info:
        raise ValueError(
            f"its pixels are {mode}{' with transparency' if 'transparency' in info else ''}; "
            "save it as 8-bit RGB or grey"
        )
    if getattr(picture, "n_frames", 1) != 1:
        raise ValueError("it is animated")


def _upright(picture: Any) -> Any:
    """Return the picture turned as its EXIF says: cameras store what their sensor saw."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _lossless(picture: Any) -> bytes:
    plain = picture.convert("RGB")
    # Of the pixels alone: EXIF and colour profiles may name places and people.
    bare = pillow_module().fromarray(np.asarray(plain))
    stream = io.BytesIO()
    bare.save(stream, **(LOSSLESS_WEBP if max(bare.size) <= WEBP_SIDE else FAST_PNG))
    return stream.getvalue()
