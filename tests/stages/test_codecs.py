import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from panic_hpc import installed
from panic_hpc.stages.codecs.base import with_codecs
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


@pytest.mark.parametrize("option", ["avif-1", "avif-60", "avif-100"])
@given(pixels=arrays(np.uint8, SHAPES))
@settings(max_examples=20, deadline=None)
def test_a_lossy_picture_is_read_back_in_its_shape_and_always_the_same(
    option: str, pixels: np.ndarray
) -> None:
    codec = ImageCodec()
    content = codec.encode(pixels, option)
    assert codec.encode(pixels, option) == content
    decoded = codec.decode(content)
    assert (decoded.shape, decoded.dtype) == (pixels.shape, pixels.dtype)
    # The next model must not be given what is not stored.
    assert codec.readable_at_once(pixels, option) is None


def test_a_higher_quality_loses_less_and_takes_more() -> None:
    codec = ImageCodec()
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    contents = [codec.encode(pixels, f"avif-{quality}") for quality in (20, 50, 80, 100)]
    errors = [np.abs(codec.decode(c).astype(int) - pixels).mean() for c in contents]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1
    assert [len(c) for c in contents] == sorted(len(c) for c in contents)


def test_only_a_lossy_codec_adds_its_libraries_to_the_numerics_class() -> None:
    plain = {"device": "cpu"}
    assert with_codecs(plain, [ImageCodec(), TextCodec()], "png") == plain
    found = with_codecs(plain, [ImageCodec(), TextCodec()], "avif-50")
    assert found.keys() == {"device", "codecs"}
    assert {"libavif", "dav1d", "aom"} <= found["codecs"]["image"].keys()


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
