"""Measure the built-in models: every figure of docs/models.md, from the weights as shipped.

    python tools/measure_microworld.py [--weights DIR] [--scenes N] [SECTION ...]

Sections: captioners, painters, scales, towers, walks; all of them take about ten minutes.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from microworld import loading, measure, scales

from panic_hpc.models.scene.captions import attributes, terse, terse_attributes, verbose

PACKAGE = Path(__file__).parents[1] / "panic_hpc" / "models" / "microworld"
SECTIONS = ("captioners", "painters", "scales", "towers", "walks")
CAPTIONERS = {"MicroTerse": terse_attributes, "MicroVerbose": attributes}
PAINTERS = ("MicroDiffusion", "MicroTurbo")
RUNS, ROUNDS = 16, 25


def say(line: str) -> None:
    """Print a line at once: the whole takes minutes."""
    print(line, flush=True)


def painter(weights: Path, name: str, table: dict[str, Any]) -> measure.Painter:
    """Return a text-to-image model with the settings that `models.toml` gives it."""
    return loading.painter(weights / name, table[name]["steps"], table[name]["guidance"])


def report_captioners(weights: Path, scenes: int) -> None:
    """Print the captioners' accuracy on combinations held out of training and on others."""
    for name, said in CAPTIONERS.items():
        captioner = loading.captioner(weights / name)
        for held_out in (True, False):
            rows = measure.fresh(scenes, held_out=held_out)
            share, whole = measure.caption_accuracy(
                captioner, [said(r) for r in rows], measure.pictures(rows)
            )
            kind = "held-out" if held_out else "seen"
            say(f"{name}, {kind}: attributes right {share:.3f}, whole captions {whole:.3f}")


def report_painters(weights: Path, scenes: int, table: dict[str, Any]) -> None:
    """Print the text-to-image models' accuracy as the scene reader finds it."""
    for name in PAINTERS:
        paint = painter(weights, name, table)
        for held_out in (True, False):
            rows = measure.fresh(scenes, held_out=held_out)
            started = time.perf_counter()
            shares = measure.picture_accuracy(paint, rows)
            speed = scenes / (time.perf_counter() - started)
            detail = ", ".join(f"{key} {value:.3f}" for key, value in shares.items())
            kind = "held-out" if held_out else "seen"
            say(f"{name}, {kind}: {detail}; {speed:.1f} images/s")
        share = measure.terse_picture_accuracy(paint, measure.fresh(scenes))
        say(f"{name}, terse prompts: {share:.3f}")


def report_scales(weights: Path, scenes: int) -> None:
    """Print the scale-wise model's accuracy on scenes of one group, which are what it knows."""
    paint = loading.scale_painter(weights / scales.NAME)
    for held_out in (True, False):
        rng = np.random.default_rng([measure.SEED, scenes])
        rows = scales.one_group(rng, scenes, held_out=held_out)
        started = time.process_time()
        shares = measure.picture_accuracy(paint, rows)
        speed = scenes / (time.process_time() - started)
        detail = ", ".join(f"{key} {value:.3f}" for key, value in shares.items())
        kind = "held-out" if held_out else "seen"
        say(f"{scales.NAME}, {kind}: {detail}; {speed:.1f} images a second of processor time")
        share = measure.terse_picture_accuracy(paint, rows)
        say(f"{scales.NAME}, {kind}, terse prompts: {share:.3f}")


def report_towers(weights: Path, scenes: int) -> None:
    """Print how well embeddings rank pairs of held-out scenes by the attributes they share."""
    texts, images = (
        loading.embedder(weights / "MicroText"),
        loading.embedder(weights / "MicroImage"),
    )
    rows = measure.fresh(scenes)
    said = [attributes(row) for row in rows]
    from_text, from_image = texts([verbose(row) for row in rows]), images(measure.pictures(rows))
    pairs = {
        "text-text": (from_text, from_text),
        "image-image": (from_image, from_image),
        "text-image": (from_text, from_image),
    }
    for name, (left, right) in pairs.items():
        say(f"{name}: Spearman {measure.rank_correlation(left, right, said):.3f}")


def report_walks(weights: Path, table: dict[str, Any]) -> None:
    """Print how runs wander under fresh noise and where they close under fixed noise."""
    rows = measure.fresh(RUNS)
    prompts = [terse(row) if n % 2 else verbose(row) for n, row in enumerate(rows)]
    for one, other in itertools.product(PAINTERS, CAPTIONERS):
        paint, caption = painter(weights, one, table), loading.captioner(weights / other)
        fresh = measure.walks(paint, caption, prompts, ROUNDS, fixed=False)
        fixed = measure.walks(paint, caption, prompts, ROUNDS, fixed=True)
        cycles = Counter(run.length for run in fixed if run.length > 0)
        lengths = (
            ", ".join(f"{n} of length {length}" for length, n in sorted(cycles.items())) or "none"
        )
        say(f"{one} -> {other}, per_step: median {measure.distinct(fresh):.1f} distinct captions")
        say(f"{one} -> {other}, fixed: {sum(cycles.values())} of {RUNS} cycle ({lengths})")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--weights", type=Path, default=PACKAGE)
    parser.add_argument("--scenes", type=int, default=256)
    chosen = parser.parse_args()
    table = tomllib.loads((PACKAGE / "models.toml").read_text())
    torch.set_num_threads(1)
    reports = {
        "captioners": lambda: report_captioners(chosen.weights, chosen.scenes),
        "painters": lambda: report_painters(chosen.weights, chosen.scenes, table),
        "scales": lambda: report_scales(chosen.weights, chosen.scenes),
        "towers": lambda: report_towers(chosen.weights, chosen.scenes),
        "walks": lambda: report_walks(chosen.weights, table),
    }
    for section in chosen.sections or SECTIONS:
        reports[section]()


if __name__ == "__main__":
    main()
