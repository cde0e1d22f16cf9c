"""What an AVIF's first bytes say, without a decoder: the plain kind that is stored, nothing else.

AVIF is a tree of boxes (ISO/IEC 14496-12 and 23008-12) around AV1 units (AV1 bitstream
specification, sections 5.3 and 5.5). A stored picture is one still frame of three 8-bit channels in
one piece: no grid of pictures, alpha, rotation, crop, colour profile or description.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_BOXES = 32
"""In one box; a stored picture has six."""

_PROPERTIES = {b"ispe", b"pixi", b"av1C", b"colr"}
# Those of which there may be more than one, and what they are, are fields of the full box.
_FULL_BOX_BYTES = 4
_TEMPORAL_DELIMITER, _SEQUENCE_HEADER = 2, 1
_FRAME_UNITS = {3, 4, 6}
"""Frame header, tile group, and both in one."""


class AvifHead(NamedTuple):
    """Pixels as boxes and frame declare them, which is the same."""

    width: int
    height: int


def is_avif(content: bytes) -> bool:
    """Return whether the content says that it is an AVIF still picture."""
    return content[4:12] == b"ftypavif"


def has_deep_colours(content: bytes) -> bool:
    """Return whether any AVIF, plain or not, says that its colours have more than 8 bits."""
    # Box av1C (AV1 in ISOBMFF, section 2.3): version, profile and level, then a byte whose second
    # and third bits say so. Its parts may lie anywhere in a picture that is not plain.
    at = content.find(b"av1C") if content[4:8] == b"ftyp" else -1
    return at >= 0 and len(content) > at + 6 and bool(content[at + 6] & 0b0110_0000)


def read_avif_head(content: bytes) -> AvifHead:
    """Return the picture's size; ValueError where it is not of the plain kind that is stored."""
    top = _boxes(content)
    if list(top) != [b"ftyp", b"meta", b"mdat"]:
        raise ValueError(f"an AVIF of the boxes {_named(top)}")
    meta = _boxes(top[b"meta"][_FULL_BOX_BYTES:])
    payload = top[b"mdat"]
    _require_one_item(meta, len(content) - len(payload), len(payload))
    head = _declared(_boxes(_boxes(_member(meta, b"iprp")).get(b"ipco", b"")))
    # What a decoder allocates is the frame's size, whatever the boxes say.
    frame = _frame_size(payload)
    if frame != head:
        raise ValueError(
            f"its head says {head[0]} by {head[1]}, its frame {frame[0]} by {frame[1]}"
        )
    return head


def _boxes(content: bytes) -> dict[bytes, bytes]:
    """Return the boxes that fill `content`, by kind and in order; each kind may occur once."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        if len(content) - at < 8 or len(found) == MAX_BOXES:
            raise ValueError("an AVIF whose boxes are cut off or too many")
        size, kind = struct.unpack_from(">I4s", content, at)
        if not 8 <= size <= len(content) - at:
            raise ValueError(f"an AVIF with a box {kind!r} of {size} bytes")
        if kind in found:
            raise ValueError(f"an AVIF with two boxes {kind!r}")
        found[kind] = content[at + 8 : at + size]
        at += size
    return found


def _named(boxes: dict[bytes, bytes]) -> str:
    return ", ".join(repr(kind) for kind in boxes)


def _member(boxes: dict[bytes, bytes], kind: bytes) -> bytes:
    if kind not in boxes:
        raise ValueError(f"an AVIF without a box {kind!r}")
    return boxes[kind]


def _require_one_item(meta: dict[bytes, bytes], start: int, nbytes: int) -> None:
    """Raise ValueError unless there is one item, a coded picture, that is all of the payload."""
    # iinf: version and flags, number of items; iloc: version and flags, sizes of its fields (4
    # bytes each for offset and length, none for a base), number of items, then of the only one its
    # id, where to look (0: this file), number of pieces, offset and length.
    if _member(meta, b"iinf")[:6] != b"\0\0\0\0\0\1" or b"av01" not in meta[b"iinf"]:
        raise ValueError("an AVIF of more than one item")
    place = _member(meta, b"iloc")
    if len(place) != 22 or place[:8] != b"\0\0\0\0\x44\0\0\1" or place[10:14] != b"\0\0\0\1":
        raise ValueError("an AVIF in more than one piece")
    if struct.unpack_from(">II", place, 14) != (start, nbytes):
        raise ValueError("an AVIF whose picture is not its payload")


def _declared(properties: dict[bytes, bytes]) -> AvifHead:
    if set(properties) != _PROPERTIES:
        raise ValueError(f"an AVIF with the properties {_named(properties)}")
    if properties[b"pixi"] != b"\0\0\0\0\3\x08\x08\x08" or properties[b"colr"][:4] != b"nclx":
        raise ValueError("an AVIF that is not 8-bit RGB without a profile")
    if len(properties[b"ispe"]) != 12:
        raise ValueError("an AVIF without a size")
    return AvifHead(*struct.unpack_from(">II", properties[b"ispe"], _FULL_BOX_BYTES))


def _units(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and content of AV1's units; each must say how long it is."""
    at = 0
    while at < len(payload):
        first = payload[at]
        # Bits: 0, kind (4), extension, has a size, 0.
        if first & 0b1000_0111 != 0b10:
            raise ValueError("an AVIF whose frame is in layers or of unknown length")
        at, nbytes = _length(payload, at + 1)
        if nbytes > len(payload) - at:
            raise ValueError("an AVIF whose frame is cut off")
        yield first >> 3, payload[at : at + nbytes]
        at += nbytes


def _length(payload: bytes, at: int) -> tuple[int, int]:
    """Return where the content begins and its length: 7 bits a byte, lowest first."""
    value = 0
    for place, byte in enumerate(payload[at : at + 5]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return at + place + 1, value
    raise ValueError("an AVIF whose frame is of unknown length")


def _frame_size(payload: bytes) -> AvifHead:
    """Return what the sequence header says, of which the only frame cannot differ."""
    units = list(_units(payload))
    if units and units[0][0] == _TEMPORAL_DELIMITER:
        units = units[1:]
    kinds = [kind for kind, _ in units]
    if kinds[:1] != [_SEQUENCE_HEADER] or not kinds[1:] or not set(kinds[1:]) <= _FRAME_UNITS:
        raise ValueError(f"an AVIF of the units {kinds}")
    header = units[0][1]
    bits = int.from_bytes(header.ljust(16, b"\0")[:16], "big")

    def take(start: int, count: int) -> int:
        return bits >> (128 - start - count) & ((1 << count) - 1)

    # 1. Profile (3 bits), still picture, reduced header: with both no frame may have its own size.
    if take(3, 2) != 0b11:
        raise ValueError("an AVIF that is no still picture")
    # 2. Level (5 bits), the bits of width and height less one (4 bits each), both less one.
    wide, high = take(10, 4) + 1, take(14, 4) + 1
    return AvifHead(take(18, wide) + 1, take(18 + wide, high) + 1)
