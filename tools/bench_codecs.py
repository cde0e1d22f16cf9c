"""Measure picture codecs: bytes, loss and CPU milliseconds a picture, for docs/format.md.

Pictures are two photographs that scikit-learn brings, scaled to a side, and what the built-in
text-to-image model draws at its largest, as it is and scaled. JPEG XL is measured where imagecodecs
is installed.

    python tools/bench_codecs.py [--side 1024] [--repeats 3] [--json]
    python tools/bench_codecs.py --captions 20 [--json]

The second form tells how often a picture's caption stays what it was (tools/equal_captions.py), of
8 pictures a step and kind.
"""

import argparse
import io
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ratios import record

from panic_hpc.models.arithmetic_world import draw_picture, read_text

Pixels = NDArray[np.uint8]
DRAWN_SIDE = 256
OURS = ("webp lossless, method 0, effort 0", "avif 75, speed 10, 4:4:4")
"""What datasets are written with, of all that is measured: the ratios of tools/bench.py."""


def pictures(side: int) -> dict[str, list[Pixels]]:
    """Return (side, side, 3) pictures by kind; drawn ones also as they come."""
    from sklearn.datasets import load_sample_images

    drawn = [
        draw_picture(read_text(text), 0, DRAWN_SIDE) for text in ("a fox at dawn", "a cup at dusk")
    ]
    return {
        f"photographs, {side}²": [_square(photo, side) for photo in load_sample_images().images],
        f"drawn, {DRAWN_SIDE}²": drawn,
        f"drawn, scaled to {side}²": [_square(one, side) for one in drawn],
    }


def _square(pixels: Pixels, side: int) -> Pixels:
    """Return the middle square, scaled as a picture viewer would."""
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    middle = Image.fromarray(pixels[top : top + edge, left : left + edge])
    return np.asarray(middle.resize((side, side), Image.Resampling.BICUBIC))


def with_pillow(pixels: Pixels, **options: Any) -> bytes:
    """Return the picture as Pillow writes it."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, **options)
    return stream.getvalue()


def read_by_pillow(content: bytes) -> Pixels:
    """Return what Pillow reads."""
    return np.asarray(Image.open(io.BytesIO(content)))


Pair = tuple[Callable[[Pixels], bytes], Callable[[bytes], Pixels]]


def _by_pillow(**options: Any) -> Pair:
    return partial(with_pillow, **options), read_by_pillow


def codecs() -> dict[str, Pair]:
    """Return encoders and decoders by name: lossless ones first."""
    webp = partial(_by_pillow, format="WEBP")
    avif = partial(_by_pillow, format="AVIF", max_threads=1)
    found = {"png level 1": _by_pillow(format="PNG", compress_level=1)}
    for method, effort in ((0, 0), (0, 100), (1, 0), (2, 50), (4, 80)):
        name = f"webp lossless, method {method}, effort {effort}"
        found[name] = webp(lossless=True, exact=True, method=method, quality=effort)
    found |= _jpeg_xl()
    for quality in (50, 75, 90):
        found[f"webp {quality}, method 4"] = webp(quality=quality, method=4)
    for quality, speed in (
        (25, 10),
        (50, 6),
        (50, 10),
        (75, 6),
        (75, 8),
        (75, 10),
        (90, 6),
        (90, 10),
    ):
        name = f"avif {quality}, speed {speed}, 4:4:4"
        found[name] = avif(quality=quality, speed=speed, subsampling="4:4:4")
    found["avif 75, speed 10, 4:2:0"] = avif(quality=75, speed=10, subsampling="4:2:0")
    return found


def _jpeg_xl() -> dict[str, Pair]:
    # By its name, since it is no requirement and has no types.
    if not find_spec("imagecodecs"):
        return {}
    imagecodecs = import_module("imagecodecs")
    decode = imagecodecs.jpegxl_decode
    return {
        f"jpeg xl lossless, effort {effort}": (
            partial(imagecodecs.jpegxl_encode, lossless=True, effort=effort, numthreads=1),
            decode,
        )
        for effort in (1, 3)
    }


def measured(pair: Pair, some: list[Pixels], repeats: int) -> Mapping[str, float]:
    """Return means over pictures: kilobytes, share of raw, PSNR in dB, CPU ms of the fastest."""
    encode, decode = pair
    rows = []
    for pixels in some:
        content, encode_ms = _fastest(partial(encode, pixels), repeats)
        back, decode_ms = _fastest(partial(decode, content), repeats)
        rows.append((len(content) / 1e3, len(content) / pixels.nbytes, _psnr(pixels, back),
                     encode_ms, decode_ms))  # fmt: skip
    names = ("kilobytes", "share", "psnr", "encode_ms", "decode_ms")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def _fastest(work: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    found = []
    for _ in range(repeats):
        # CPU time, which other work on the machine disturbs less; all codecs have one thread.
        start = time.process_time()
        result = work()
        found.append(time.process_time() - start)
    return result, min(found) * 1e3


def _psnr(one: Pixels, other: Pixels) -> float:
    error = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else np.inf


def print_captions(steps: int, as_json: bool) -> None:
    """Print how often captions stay what they were."""
    from equal_captions import table

    for row in table(steps):
        words = f"{row['pictures']:16}{row['by']:14}{row['codec']:9}"
        numbers = f"{row['n']:5}{row['of_lossless']:8.2f}{row['equal']:8.3f}{row['distinct']:6}"
        print(json.dumps(row) if as_json else words + numbers, flush=True)


def main() -> None:
    """Print a table a kind of picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--captions", type=int, metavar="STEPS", default=0)
    options = parser.parse_args()
    if options.captions:
        print_captions(options.captions, options.json)
        return
    for kind, some in pictures(options.side).items():
        if not options.json:
            print(f"\n{kind}\n{'':34}{'kB':>9}{'of raw':>8}{'PSNR':>7}{'enc ms':>9}{'dec ms':>8}")
        plain = 0.0
        for name, pair in codecs().items():
            row = measured(pair, some, options.repeats)
            plain = plain or row["kilobytes"]  # the first one is PNG
            if name in OURS:
                record(f"bytes of {name} ÷ PNG, {kind}", row["kilobytes"] / plain)
            if options.json:
                print(json.dumps({"pictures": kind, "codec": name, **row}), flush=True)
            else:
                print(f"{name:34}{row['kilobytes']:9.1f}{row['share']:8.3f}{row['psnr']:7.1f}"
                      f"{row['encode_ms']:9.1f}{row['decode_ms']:8.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
