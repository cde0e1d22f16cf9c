"""Pictures that cannot be decoded are findings, whatever their heads claim."""

import struct
import zlib

import pytest

from panic_hpc.store.checks.content import undecodable


def claiming(width: int, height: int) -> bytes:
    """Return a PNG whose head claims a size, and which holds no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize("side", [10, 10_000, 20_000, 2**31 - 1])
def test_a_claimed_size_is_a_reason_and_no_error(side: int) -> None:
    assert undecodable(claiming(side, side))


def test_what_is_no_picture_is_told() -> None:
    assert "no format" in undecodable(b"nothing")
