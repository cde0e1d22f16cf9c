"""Erlang terms: data is decoded, anything else refused, and no bytes crash the decoder."""

import contextlib
import struct
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from panic_hpc.errors import PanicError
from panic_hpc.upstream.erlang_terms import decode_term


def test_terms_of_every_kind_of_data() -> None:
    body = b"h\x05" + b"a\x07" + b"b\xff\xff\xff\xf9" + b"k\x00\x02\x01\x02" + b"w\x03inf" + b"j"
    assert decode_term(b"\x83" + body) == [7, -7, [1, 2], "inf", []]
    big = b"n\x08\x01" + (2**40).to_bytes(8, "little")
    assert decode_term(b"\x83" + big) == -(2**40)
    assert decode_term(b"\x83m\x00\x00\x00\x02\xff\xfe") == b"\xff\xfe"
    assert decode_term(b"\x83t\x00\x00\x00\x01w\x01aF" + struct.pack(">d", 0.5)) == {"a": 0.5}


def test_compressed_terms() -> None:
    body = b"k\x03\xe8" + bytes(1000)
    packed = b"\x83P" + struct.pack(">I", len(body)) + zlib.compress(body)
    assert decode_term(packed) == [0] * 1000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a term"),
        (b"\x80abc", "not a term"),
        (b"\x83l\x00\x00\x00\x05a\x01", "torn"),
        (b"\x83m\xff\xff\xff\xffab", "torn"),
        (b"\x83a\x01a\x02", "followed"),
        (b"\x83p\x00", "no data"),
        (b"\x83P\xff\xff\xff\xffxx", "more than"),
        (b"\x83P\x00\x00\x00\x05" + zlib.compress(b"j" * 1_000_000), "not as long"),
        (b"\x83" + b"h\x01" * 5000 + b"j", "nested deeper"),
        (b"\x83l\x00\x00\x00\x01a\x01a\x02", "improper"),
    ],
)
def test_what_is_no_data_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(PanicError, match=words):
        decode_term(content)


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"P")
def test_no_bytes_crash_it(content: bytes) -> None:
    with contextlib.suppress(PanicError):
        decode_term(b"\x83" + content)
