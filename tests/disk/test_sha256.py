"""SHA-256 of many messages is hashlib's, whatever their lengths, parts and places."""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from panic_hpc.disk import sha256
from panic_hpc.disk.sha256 import Message, Span, sha256_each
from panic_hpc.errors import DiskError, ShardError

# Around the ends of blocks, where padding takes another one, and of what is staged at once.
EDGES = [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 16383, 16384, 16385, 16384 * 3]
LARGE = [5_000_000, 777, 3_000_001]


def expected(messages: list[bytes]) -> list[str]:
    return [hashlib.sha256(message).hexdigest() for message in messages]


def some_bytes(lengths: list[int]) -> list[bytes]:
    return [random.Random(number).randbytes(length) for number, length in enumerate(lengths)]


def kernels() -> list[str]:
    native = sha256.find_native()
    return native.kernel_names() if native else []


@pytest.fixture
def native() -> ModuleType:
    found = sha256.find_native()
    if found is None:
        pytest.skip("no native module, or a processor with neither AVX-512 nor SHA")
    return found


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("number", [1, 2, 6, 7, 15, 16, 17, 100])
def test_each_kernel_computes_what_hashlib_does(
    native: ModuleType, kernel: str, number: int
) -> None:
    """All lanes of other lengths, more and fewer messages than lanes."""
    lengths = [*EDGES, *LARGE, *(random.Random(1).randrange(3000) for _ in range(100))]
    random.Random(number).shuffle(lengths)
    messages = some_bytes(lengths[:number])
    found = native.digests([[message] for message in messages], kernel)
    assert found == b"".join(hashlib.sha256(message).digest() for message in messages)


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("length", EDGES)
def test_sixteen_of_each_length(native: ModuleType, kernel: str, length: int) -> None:
    messages = some_bytes([length] * 16)
    found = native.digests([[message] for message in messages], kernel)
    assert found == b"".join(hashlib.sha256(message).digest() for message in messages)


@pytest.fixture(params=["native", "hashlib"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "hashlib":
        monkeypatch.setattr(sha256, "find_native", lambda: None)


@pytest.mark.usefixtures("way")
def test_parts_in_memory_in_a_file_and_in_several(tmp_path: Path) -> None:
    content = random.Random(0).randbytes(2_000_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)

    def twice() -> Iterator[memoryview]:
        yield from (memoryview(content[:10]), memoryview(content[10:30]))

    def span(place: int, nbytes: int) -> Span:
        return Span(descriptor, place, nbytes, "file")

    given: list[Message] = [
        [],
        [b"", memoryview(b""), span(5, 0)],
        [b"head\n", span(3, 1_000_001), b"", memoryview(content)[7:107], span(0, 2_000_000)],
        [span(100, 300_000), twice(), b"end"],
    ]
    given += [[span(place, 65 * place), b"x"] for place in range(600)]
    wanted = [
        b"",
        b"",
        b"head\n" + content[3:1_000_004] + content[7:107] + content,
        content[100:300_100] + content[:30] + b"end",
        *(content[place : 66 * place] + b"x" for place in range(600)),
    ]
    assert list(sha256_each(given)) == expected(wanted)


@pytest.mark.usefixtures("way")
def test_a_file_that_ends_early_is_named(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 1000)
    descriptor = os.open(path, os.O_RDONLY)
    spans = [Span(descriptor, 0, 1000, "whole"), Span(descriptor, 500, 501, "short")]
    with pytest.raises(ShardError, match="short is truncated"):
        list(sha256_each([[one] for one in spans]))


@pytest.mark.usefixtures("way")
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(DiskError, match="folder cannot be read"):
        list(sha256_each([[Span(descriptor, 0, 10, "folder")], [b""]]))
