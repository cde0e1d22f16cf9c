"""The one door for stored pictures, whose bytes may be a stranger's.

A stored picture is WebP, PNG or AVIF of 8-bit RGB, one frame, of at most MAX_PIXELS. All that
decodes one goes through `decoded`; nothing else in a file makes a decoder start.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError
from panic_hpc.extras import missing_library
from panic_hpc.keys import KEY_HEX
from panic_hpc.pictures.avif import is_avif, read_avif_head

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

MAX_PIXELS = 2**26
"""8192 by 8192, the largest that a model's settings may ask for."""

FOREIGN_FORMATS = ("AVIF", "WEBP", "PNG", "JPEG")
"""What databases of other programs may hold, to be converted; AVIF is upstream's Elixir years'."""

STORED_FORMATS = "WebP, PNG or plain AVIF"

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

WEBP_SIDE = 16_383
"""Pixels; WebP's own limit."""

LOSSLESS_WEBP: dict[str, Any] = {
    "format": "WEBP",
    "lossless": True,
    "method": 0,
    "quality": 0,
    "exact": True,
}
"""Quality is the encoder's effort. exact: else it may change colours where alpha is 0. Method 4,
Pillow's default, takes ten times as long for 5 % fewer bytes."""

FAST_PNG: dict[str, Any] = {"format": "PNG", "compress_level": 1}

AVIF_OPTIONS: dict[str, Any] = {
    "format": "AVIF",
    "speed": 10,
    "subsampling": "4:4:4",
    "max_threads": 1,
}
"""`quality` comes from the experiment. One thread, since with more the encoder cuts pictures into
tiles as cores allow, and the same experiment would have other bits. Speed 8 takes five times as
long for 4 % fewer bytes; halving the colours saves as little."""

_AV1_LIBRARIES = ("dav1d", "libgav1", "aom", "svt", "rav1e")

# Pillow's PNG reader raises SyntaxError for a broken chunk, its AVIF reader RuntimeError.
_DECODER_ERRORS = (
    *(OSError, SyntaxError, EOFError, LookupError, OverflowError, RuntimeError),
    zlib.error,
)


class Head(NamedTuple):
    """What the first bytes of a picture say: Pillow's name of the format, pixels, what is wrong."""

    format: str
    width: int
    height: int
    problem: str = ""


def pillow_module() -> Any:
    """Return Pillow's module; PanicError where it is not installed."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise missing_library(error) or error from error
    return Image


def decoded(content: bytes) -> NDArray[np.uint8]:
    """Return a stored picture as (H, W, 3) uint8; ValueError with the reason where it is none.

    Format, size and kind are judged from the head, before a decoder allocates anything.
    """
    head = read_head(content)
    if head is None or head.problem:
        raise ValueError(head.problem if head else f"it is no {STORED_FORMATS}")
    require_size(head.width, head.height)
    # One decoder instead of Pillow's forty, some of which start programs.
    return opened(content, (head.format,), lambda picture: _plain_pixels(picture, head))


def opened(content: bytes, formats: Sequence[str], use: "Callable[[Image], T]") -> T:
    """Return what `use` makes of an encoded picture; what decoders raise becomes a ValueError."""
    pillow = pillow_module()
    try:
        with pillow.open(io.BytesIO(content), formats=formats) as picture:
            return use(picture)
    # The warning is raised where warnings are errors; a PNG may have a second, larger head.
    except (
        *_DECODER_ERRORS,
        pillow.DecompressionBombError,
        pillow.DecompressionBombWarning,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _plain_pixels(picture: "Image", head: Head) -> NDArray[np.uint8]:
    _require_plain(picture, head)
    return np.asarray(picture)


def pixel_digest(pixels: NDArray[np.uint8]) -> str:
    """Return 32 hex digits of a picture's shape and pixels, which do not depend on its format."""
    hasher = hashlib.sha256(f"{pixels.shape}".encode())
    # Pixels and not bytes of the file: encoders change with their versions.
    hasher.update(np.ascontiguousarray(pixels).data)
    return hasher.hexdigest()[:KEY_HEX]


def avif_versions() -> dict[str, str]:
    """Return the versions of the libraries that read and write AVIF, which decide its pixels.

    Pillow's own version does not tell: distributions build it with theirs. PanicError where it has
    none.
    """
    from PIL import AvifImagePlugin, features

    if not features.check("avif"):
        raise PanicError(
            "Pillow was built without AVIF",
            hint="Install its wheel: pip install --force-reinstall --only-binary :all: pillow",
        )
    found = {name: AvifImagePlugin.get_codec_version(name) for name in _AV1_LIBRARIES}
    versions = {"libavif": features.version("avif"), **found}
    return {name: version for name, version in versions.items() if version}


def require_size(width: int, height: int) -> None:
    """Raise ValueError for a picture that is empty or too large to be decoded."""
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{width} by {height} pixels, where {MAX_PIXELS} are the most")


def read_head(content: bytes) -> Head | None:
    """Return what a WebP, PNG or AVIF says it is, None for any other content.

    Pillow is not asked, since some of its readers allocate a picture to say how large it is.
    """
    # 1. PNG: the signature, then the chunk IHDR with size, bits and colour type (2: RGB).
    if content.startswith(PNG_SIGNATURE) and content[12:16] == b"IHDR" and content[25:]:
        width, height, bits, colour = struct.unpack_from(">IIBB", content, 16)
        is_rgb = (bits, colour) == (8, 2)
        problem = "" if is_rgb else f"a PNG of {bits} bits and colour type {colour}, not 8-bit RGB"
        return Head("PNG", width, height, problem)
    # 2. WebP: a RIFF container whose first chunk is one of three kinds.
    if content[:4] + content[8:12] == b"RIFFWEBP" and content[29:]:
        return _webp_head(content)
    # 3. AVIF: boxes, of which the first names it.
    return _avif_head(content) if is_avif(content) else None


def _avif_head(content: bytes) -> Head:
    try:
        return Head("AVIF", *read_avif_head(content))
    except ValueError as error:
        return Head("AVIF", 0, 0, str(error))


def _webp_head(content: bytes) -> Head:
    kind = content[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return Head("WEBP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return Head("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        return Head("WEBP", width, height)
    return Head("WEBP", 0, 0, f"a WebP that begins with a chunk {kind!r}")


def _require_plain(picture: "Image", head: Head) -> None:
    """Raise ValueError for what no codec here stores, before its pixels are decoded."""
    if picture.size != (head.width, head.height):
        raise ValueError(f"its head says {head.width} by {head.height}, its parts {picture.size}")
    if picture.mode != "RGB" or "transparency" in picture.info:
        raise ValueError(f"its pixels are {picture.mode} with transparency or no RGB")
    if getattr(picture, "n_frames", 1) != 1:
        raise ValueError("it is animated")


def converted(content: bytes) -> bytes:
    """Return the picture of another program's database as it is stored here.

    What `decoded` takes stays as it is, other formats and colour modes become lossless RGB; raises
    ValueError where that fails.
    """
    head = read_head(content)
    if head is not None:
        require_size(head.width, head.height)
    try:
        decoded(content)
    except ValueError:
        return _reencoded(content)
    return content


def _reencoded(content: bytes) -> bytes:
    return opened(content, FOREIGN_FORMATS, _as_stored)


def _as_stored(picture: "Image") -> bytes:
    # Readers of AVIF and JPEG know it from the head.
    require_size(*picture.size)
    return without_loss(picture.convert("RGB"))


def without_loss(picture: "Image") -> bytes:
    """Return an RGB picture encoded as it is stored where nothing may be lost."""
    stream = io.BytesIO()
    picture.save(stream, **(LOSSLESS_WEBP if max(picture.size) <= WEBP_SIDE else FAST_PNG))
    return stream.getvalue()
