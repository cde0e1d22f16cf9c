import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from panic_hpc import installed
from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.stages.codecs.text import TextCodec

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))


@pytest.mark.parametrize("option", ["webp-lossless", "png"])
@given(pixels=arrays(np.uint8, SHAPES))
@settings(max_examples=50, deadline=None)
def test_images_come_back_as_they_were(option: str, pixels: np.ndarray) -> None:
    codec = ImageCodec()
    decoded = codec.decode(codec.encode(pixels, option))
    assert np.array_equal(decoded, pixels)
    assert codec.digest(decoded) == codec.digest(pixels)


def test_equal_bytes_in_another_shape_are_another_image() -> None:
    codec = ImageCodec()
    assert codec.digest(np.zeros((2, 8, 3), "u1")) != codec.digest(np.zeros((4, 4, 3), "u1"))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("text", "not str"),
        (np.zeros((4, 4, 3), np.float32), "not float32"),
        (np.zeros((4, 4), np.uint8), r"not \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"not \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"not \(0, 4, 3\)"),
        (np.zeros((1, 20_000, 3), np.uint8), "too large"),
    ],
)
def test_what_is_no_image_is_described(value: object, problem: str) -> None:
    import re

    assert re.search(problem, ImageCodec().problem(value))


@given(text=st.text(st.characters(exclude_categories=())))
def test_texts_come_back_lone_surrogates_too(text: str) -> None:
    codec = TextCodec()
    assert codec.problem(text) == ""
    assert codec.decode(codec.encode(text)) == text


def test_only_texts_are_texts() -> None:
    assert "NoneType" in TextCodec().problem(None)


def test_a_modality_is_a_file() -> None:
    assert set(installed.plugins("codecs")) == {"text", "image"}


def test_a_text_beyond_all_limits_of_tokens_is_a_fault() -> None:
    assert TextCodec().problem("a" * 1_000_000) == ""
    assert "1000001 characters" in TextCodec().problem("a" * 1_000_001)
