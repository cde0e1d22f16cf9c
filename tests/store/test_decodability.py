"""Only the pictures that are stored are decoded, by every door, and none that fills the memory."""

import functools
import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import experiments
import forge
import numpy as np
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from synthetic import Experiment

import panic_hpc
from panic_hpc.errors import ShardError
from panic_hpc.pictures.stored import MAX_PIXELS, converted, decoded
from panic_hpc.report.overview import draw_contact_sheet
from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.store.checks.content import undecodable
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.exports.images import export_images

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    b"(ghostscript-was-here) (w) file closefile\nshowpage\n%%EOF\n"
)


def saved(form: str, mode: str = "RGB", **options: Any) -> bytes:
    """Return a little picture as another program might write it."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, bits: int, colour: int, pixels: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


PLAIN_AVIF = ImageCodec().encode(PIXELS, "avif-60")


def edited_avif(old: bytes, new: bytes) -> bytes:
    """Return an AVIF as it is stored but for a few bytes."""
    assert PLAIN_AVIF.count(old) == 1
    return PLAIN_AVIF.replace(old, new)


def avif_with_frame(width: int, height: int) -> bytes:
    """Return an AVIF whose boxes say 7 by 9 and whose sequence header says something else."""
    # Profile 1, still picture, reduced header, level 0, then 16 bits for each side.
    bits = f"001110000011111111{width - 1:016b}{height - 1:016b}"
    header = int(bits.ljust(80, "0"), 2).to_bytes(10, "big")
    at = PLAIN_AVIF.index(b"mdat") + 4
    # Encoders write sequence headers of different lengths, a byte that precedes them.
    assert PLAIN_AVIF[at : at + 3] == b"\x12\0\x0a"
    after = at + 4 + PLAIN_AVIF[at + 3]
    payload = b"\x12\0\x0a\x0a" + header + PLAIN_AVIF[after:]
    return (
        PLAIN_AVIF[: at - 8].replace(
            struct.pack(">II", at, len(PLAIN_AVIF) - at), struct.pack(">II", at, len(payload))
        )
        + struct.pack(">I4s", 8 + len(payload), b"mdat")
        + payload
    )


def bomb(side: int) -> bytes:
    """Return a PNG of a few hundred kilobytes that decodes to side² white pixels."""
    row, packer = b"\0" + bytes(3 * side), zlib.compressobj(9)
    first, other = (packer.compress(row) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    # Rows that do not refer to each other are packed once, and repeated with the sum of all.
    total = functools.reduce(lambda sofar, _: zlib.adler32(row, sofar), range(side), 1)
    packed = first + other * (side - 1) + b"\x03\0" + total.to_bytes(4, "big")
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def claiming(width: int, height: int) -> bytes:
    """Return a PNG whose head claims a size, and which holds no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)


def two_heads() -> bytes:
    """Return a PNG that claims a small size first and a large one then."""
    large = struct.pack(">IIBBBBB", 12_000, 12_000, 8, 2, 0, 0, 0)
    rest = chunk(b"IHDR", large) + chunk(b"IDAT", zlib.compress(bytes(100)))
    return claiming(10, 10) + rest + chunk(b"IEND", b"")


def claiming_webp(side: int) -> bytes:
    size = (side - 1).to_bytes(3, "little")
    return b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + size * 2 + bytes(40)


ATTACKS: dict[str, bytes] = {
    "eps": EPS,
    **{form: saved(form) for form in ("GIF", "TIFF", "BMP", "JPEG", "PPM", "TGA", "PCX", "ICO")},
    "cmyk": saved("TIFF", "CMYK"),
    "palette png": saved("PNG", "P"),
    "grey png": saved("PNG", "L"),
    "png with alpha": saved("PNG", "RGBA"),
    "png with a transparent colour": saved("PNG", transparency=(1, 2, 3)),
    "png of 16 bits": png(2, 1, 16, 2, bytes(13)),
    "animated png": saved("PNG", save_all=True, append_images=[Image.new("RGB", (7, 9))]),
    "animated webp": saved("WEBP", save_all=True, append_images=[Image.new("RGB", (7, 9))]),
    "png of 12,000²": bomb(12_000),
    "webp of 16,000²": claiming_webp(16_000),
    "png of two heads": two_heads(),
    "no pixels": claiming(0, 0),
    "half a png": saved("PNG")[:60],
    "half a webp": saved("WEBP", lossless=True)[:60],
    "head only": claiming(10, 10),
    "nothing": b"",
    **{f"first {n} bytes of a webp": saved("WEBP")[:n] for n in (4, 12, 16, 20, 26, 29)},
}
with_alpha = Image.new("RGBA", (7, 9), (1, 2, 3, 100))
_stream = io.BytesIO()
_SIZE = struct.pack(">II", 7, 9)
ATTACKS |= {
    "avif of 16,000²": edited_avif(_SIZE, struct.pack(">II", 16_000, 16_000)),
    "avif of no pixels": edited_avif(_SIZE, struct.pack(">II", 0, 9)),
    "avif whose frame has 16,000²": avif_with_frame(16_000, 16_000),
    "avif with a description": saved("AVIF", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    "avif with a profile": saved("AVIF", icc_profile=b"not one"),
    "animated avif": saved("AVIF", save_all=True, append_images=[Image.new("RGB", (7, 9))]),
    "avif whose picture is elsewhere": edited_avif(
        struct.pack(">I", PLAIN_AVIF.index(b"mdat") + 4), struct.pack(">I", 8)
    ),
    "avif with a box of no size": edited_avif(b"\0\0\0\x14ispe", b"\0\0\0\0ispe"),
    "avif with a box beyond its end": edited_avif(b"\0\0\0\x14ispe", b"\xff\0\0\0ispe"),
    "avif and more": PLAIN_AVIF + b"\0\0\0\x08free",
    **{f"first {n} bytes of an avif": PLAIN_AVIF[:n] for n in range(12, len(PLAIN_AVIF), 7)},
}
with_alpha.save(_stream, "WEBP", lossless=True)
ATTACKS["webp with alpha"] = _stream.getvalue()
_stream = io.BytesIO()
with_alpha.save(_stream, "AVIF")
ATTACKS["avif with alpha"] = _stream.getvalue()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_door_takes_nothing_but_stored_pictures(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decoded(ATTACKS[name])


@pytest.mark.parametrize(
    "content",
    [saved("PNG"), saved("WEBP", lossless=True), saved("WEBP", lossless=True, exif=b"Exif\0\0")],
)
def test_the_door_takes_what_is_stored(content: bytes) -> None:
    assert np.array_equal(decoded(content), PIXELS)
    assert undecodable(content) == ""
    assert converted(content) == content


def test_lossy_webp_is_taken_as_pillow_reads_it() -> None:
    content = saved("WEBP", quality=50)
    with Image.open(io.BytesIO(content)) as picture:
        assert np.array_equal(decoded(content), np.asarray(picture))


@given(place=st.integers(0, 330), value=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_an_avif_with_a_wrong_byte_is_a_picture_of_its_size_or_refused(
    place: int, value: int
) -> None:
    content = bytearray(PLAIN_AVIF)
    content[place] = value
    try:
        assert decoded(bytes(content)).shape == PIXELS.shape
    except ValueError:
        return


def test_a_plain_avif_is_stored_as_it_is() -> None:
    with Image.open(io.BytesIO(PLAIN_AVIF)) as picture:
        assert np.array_equal(decoded(PLAIN_AVIF), np.asarray(picture))
    assert undecodable(PLAIN_AVIF) == ""
    assert converted(PLAIN_AVIF) == PLAIN_AVIF


def test_the_largest_picture_of_any_setting_passes() -> None:
    assert MAX_PIXELS >= 8192**2
    value = np.zeros((8192, 8192, 3), np.uint8)
    codec = ImageCodec()
    assert codec.problem(value) == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codec.decode(codec.encode(value, "webp-lossless")).shape == value.shape
    assert "too large" in codec.problem(np.zeros((8192, 8193, 3), np.uint8))


BOUNDED = """
import resource, sys
from panic_hpc.pictures.stored import decoded
from PIL import AvifImagePlugin, Image, PngImagePlugin, WebPImagePlugin
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decoded(sys.stdin.buffer.read())
except ValueError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    "name",
    [
        *("png of 12,000²", "webp of 16,000²", "png of two heads"),
        *("avif of 16,000²", "avif whose frame has 16,000²"),
    ],
)
def test_a_picture_that_is_too_large_takes_no_memory(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED], input=ATTACKS[name], capture_output=True, check=True
    )
    said, kilobytes = done.stdout.decode().splitlines()
    assert "12000" in said or "16000" in said
    assert int(kilobytes) < 50_000


@pytest.mark.parametrize("side", [10, 10_000, 20_000, 2**31 - 1])
def test_a_claimed_size_is_a_reason_and_no_error(side: int) -> None:
    assert undecodable(claiming(side, side))


def test_what_is_no_picture_is_told() -> None:
    assert "is no WebP, PNG" in undecodable(b"nothing")


@pytest.mark.parametrize("form", ["AVIF", "JPEG"])
def test_pictures_of_other_programs_are_stored_without_further_loss(form: str) -> None:
    content = saved(form)
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert np.array_equal(decoded(converted(content)), pixels)


@pytest.mark.parametrize("name", ["eps", "GIF", "TIFF", "png of 12,000²", "half a png", "nothing"])
def test_what_is_no_picture_of_other_programs_is_not_converted(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        converted(ATTACKS[name])


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Return what makes a dataset whose pictures are all `content`, its checksums right."""

    def make(content: bytes) -> Path:
        monkeypatch.setattr(synthetic, "picture", lambda experiment, run, step: content)
        experiment = Experiment(tmp_path / "exp", has_real_images=True)
        inputs = synthetic.write(experiment, [7, 5])
        return synthetic.merged(tmp_path / "hostile.h5", (experiment, inputs)).path

    return make


@pytest.mark.parametrize("name", ["eps", "TIFF", "webp with alpha", "avif with alpha"])
def test_no_door_opens_a_stranger_s_picture(
    hostile: Callable[[bytes], Path], tmp_path: Path, name: str
) -> None:
    path = hostile(ATTACKS[name])
    assert {finding.rule for finding in verify_file(path).findings} == {"D03"}
    with panic_hpc.open(path) as dataset:
        step = dataset.image_steps(0)[0]
        with pytest.raises(ShardError, match="image of run 0"):
            dataset.image(0, step)
        with pytest.raises(ShardError, match="image of run 0"):
            export_images(dataset, tmp_path / "out")
        with pytest.raises(ShardError, match="image of run 0"):
            draw_contact_sheet(dataset, tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.glob("out/**/*.*")] == ["dataset.json"]


def test_an_embedding_model_is_given_stored_pictures_only(tmp_path: Path) -> None:
    planned = experiments.planned(tmp_path / "exp")
    planned.work("runs")
    for path in (planned.paths.root / "shards" / "runs").rglob("*.h5"):
        path.chmod(0o644)
        forge.overwrite(path, "images/values", _broken)
    with pytest.raises(
        ShardError, match=r"runs_\d+\.h5: image of run 0, step 0, cannot be decoded"
    ):
        planned.work("embeddings")


def _broken(values: Any) -> Any:
    values[: len(EPS)] = np.frombuffer(EPS, np.uint8)[: len(values)]
    return values
