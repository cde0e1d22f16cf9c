"""What other parsers would not take, or take for something else, is no JSON here."""

import os
from pathlib import Path

import pytest

from panic_hpc.disk.files import open_regular, read_json
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import PanicError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": NaN}', "NaN"),
        (b"-Infinity", "Infinity"),
        (b"1e999", "too large"),
        (b"[" * 100_000, "deep"),
        (b"[" * 65 + b"]" * 65, "deep"),
        (b"1" * 5000, "5000 characters"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b'["\\ud83d"]', "surrogate"),
        (b"\xff\xfe1\x00", "utf-8"),
        (b'"\xed\xa0\x80"', "utf-8"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_is_no_strict_json_is_refused_in_one_line(text: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        parse_json(text)
    assert "\n" not in str(refused.value)


def test_json_as_this_package_writes_it_is_read() -> None:
    text = '{"a": [1, -9223372036854775808, 18446744073709551615, 2.5, null, "\\ud83d\\ude00"]}'
    assert parse_json(text.encode()) == {"a": [1, -(2**63), 2**64 - 1, 2.5, None, "😀"]}
    assert parse_json("[" * 64 + "]" * 64)


def test_a_fifo_a_directory_and_a_large_file_are_no_json_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"1" * 100)
    for name, said in (("fifo", "regular"), ("", "regular"), ("large", "larger than 99")):
        with pytest.raises(PanicError, match=said):
            read_json(tmp_path / name, limit=99)


def test_what_somebody_names_is_opened_where_it_is_a_regular_file_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), Path("nul\0")):
        with pytest.raises(OSError, match=r"regular file|null byte") as told:
            open_regular(path)
        # Whoever tells it says what is wrong, and of which file.
        assert told.value.strerror
        assert told.value.filename == str(path)
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as stream:
        assert stream.read() == b"content"
