"""Opening stored images, whose bytes are not to be trusted."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 2**28


@contextmanager
def opened_picture(content: bytes) -> Iterator["Image"]:
    """Open an image to decode it inside the block; ValueError with the reason where that fails."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as picture:
            # Before anything decodes: the size is what the head claims, and costs nothing to read.
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"{picture.width} by {picture.height} pixels")
            yield picture
    except UnidentifiedImageError as error:
        raise ValueError("it has no format that Pillow knows") from error
    # PIL's PNG reader raises SyntaxError for a broken chunk.
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
